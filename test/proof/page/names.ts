import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { piecesOf, visibleName, withoutInvisible } from '../../../src/page/visible-name.ts'
import { browserTest, shows } from '../browser.ts'
import { addTo, press, putMany, textFile, visitAs, widths } from '../files-page.ts'
import { checkAccessible, checkFits, goTo } from '../page.ts'

/** Without a mark, browsers show it as `photoexe.jpg`. */
const TRICK = 'photo\u202Egpj.exe'
const SHOWN = 'photo[U+202E]gpj.exe'

browserTest('characters that can\'t be seen have a mark, except those of emoji and of scripts that need them', async t => {
  for (const [name, shown] of [
    ['a.txt', 'a.txt'],
    [TRICK, SHOWN],
    ['\u2066\u2067\u2068\u2069\u200E\u200F\u061C', '[U+2066][U+2067][U+2068][U+2069][U+200E][U+200F][U+061C]'],
    ['re\u00ADport\u200B.pdf\uFEFF', 're[U+00AD]port[U+200B].pdf[U+FEFF]'],
    ['pay\u200Dpal', 'pay[U+200D]pal'],
    ['1\uFE0F.png', '1[U+FE0F].png'],
    ['x\u{E0041}', 'x[U+E0041]'],
    ['\u3164', '[U+3164]'],
    ['a\u2028b', 'a[U+2028]b'],
    ['\u0301\uFE0F\u200D', '\u0301[U+FE0F][U+200D]'],
    ['👩‍👩‍👧 1️⃣ 🏴󠁧󠁢󠁳󠁣󠁴󠁿.txt', '👩‍👩‍👧 1️⃣ 🏴󠁧󠁢󠁳󠁣󠁴󠁿.txt'],
    ['می\u200Cخواهم.txt', 'می\u200Cخواهم.txt'],
    ['می\u200C\u200Cخواهم', 'می\u200C[U+200C]خواهم'],
    ['क्\u200Dष', 'क्\u200Dष'],
    ['葛\u{E0100}城', '葛\u{E0100}城'],
    ['שלום עולם', 'שלום עולם']
  ] as const) {
    t.equal(visibleName(name), shown)
    t.equal(withoutInvisible(name), shown.replaceAll(/\[U\+[0-9A-F]+\]/g, ''))
  }
  t.strictSame(piecesOf(TRICK), ['photo', '[U+202E]', 'gpj.exe'])
})

/** Asserts that no text, tooltip or name for screen readers has a character that changes the direction of text. */
async function checkVisible (t: Test, page: Page, where: string): Promise<void> {
  t.strictSame(await page.evaluate(() => {
    const values = Array.from(document.querySelectorAll('*'), element => [
      // Nobody sees `data-folder`.
      ...element.getAttributeNames().filter(name => name !== 'data-folder').map(name => element.getAttribute(name) ?? ''),
      ...element instanceof HTMLInputElement ? [element.value] : []
    ])
    return [document.title, document.body.innerText, ...values.flat()].filter(text => /\p{Bidi_Control}/u.test(text))
  }), [], where)
}

browserTest('a name with a character that turns the direction of text can\'t pass for another one', async t => {
  const { page, server, put, token } = await visitAs(t, { [TRICK]: { bytes: 'one', type: 'text/plain' } })
  await put(TRICK, { bytes: 'two', type: 'text/plain' })
  const file = page.getByRole('grid').getByRole('button', { name: SHOWN, exact: true })
  await file.waitFor()
  t.equal(await file.locator('mark').innerText(), '[U+202E]')
  t.equal(await file.locator('bdi').evaluate(element => getComputedStyle(element).unicodeBidi), 'isolate')
  const choose = async (item: string) => {
    await page.getByRole('button', { name: `Actions for ${SHOWN}`, exact: true }).click()
    await checkVisible(t, page, 'the menu')
    await page.getByRole('menuitem', { name: item, exact: true }).click()
  }
  await checkVisible(t, page, 'the list')
  await file.click()
  await page.getByRole('dialog', { name: SHOWN, exact: true }).locator('pre').waitFor()
  await checkVisible(t, page, 'the preview')
  await page.keyboard.press('Escape')
  await choose('Versions')
  await page.getByRole('dialog', { name: `Versions of ${SHOWN}` }).getByRole('button', { name: 'Delete for good' }).click()
  await page.getByRole('dialog', { name: 'Delete this version for good?' }).waitFor()
  await checkVisible(t, page, 'the versions')
  await press(page, 'Escape', 'Escape')

  await addTo(page, textFile(TRICK, 'three'))
  await page.getByText(`A file named ${SHOWN} already exists.`).waitFor()
  await checkVisible(t, page, 'the uploads')
  await page.getByRole('button', { name: 'Keep both' }).click()
  await page.getByText('1 file uploaded').first().waitFor()
  await checkVisible(t, page, 'an upload under a new name')

  await choose('Delete')
  await page.getByText(`Moved to the trash: ${SHOWN}`).waitFor()
  await checkVisible(t, page, 'the notice')
  await goTo(page, 'Trash')
  await page.getByRole('button', { name: `Delete ${SHOWN} for good` }).click()
  await page.getByRole('dialog').waitFor()
  await checkVisible(t, page, 'the question about the trash')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: 'Empty the trash' }).click()
  await checkVisible(t, page, 'the question about the whole trash')
  await page.keyboard.press('Escape')
  await page.getByRole('button', { name: `Restore ${SHOWN}` }).click()
  await page.getByText(`Restored: ${SHOWN}`).waitFor()

  await goTo(page, 'Files')
  await choose('Rename')
  const input = page.getByRole('textbox', { name: `New name of ${SHOWN}` })
  t.equal(await input.inputValue(), 'photogpj.exe', 'the form offers a name without it')
  await input.press('Enter')
  await page.getByText('Renamed to photogpj.exe').waitFor()
  await shows(t, async () => (await server.send('GET', '/api/files/photogpj.exe', { token })).status, 200)
})

browserTest('the same holds for the name of a folder', async t => {
  const { page } = await visitAs(t, { [`${TRICK}/${TRICK}/file.txt`]: 'one' })
  const folder = page.getByRole('grid').getByRole('link', { name: SHOWN, exact: true })
  await folder.click()
  await page.getByRole('heading', { name: SHOWN, level: 2 }).waitFor()
  await checkVisible(t, page, 'a folder')
  await folder.click()
  await page.getByRole('navigation').getByRole('link', { name: SHOWN, exact: true }).waitFor()
  await checkVisible(t, page, 'a folder in a folder')
})

browserTest('if there is little room, a name keeps its number and its extension, and screen readers read all of it', async t => {
  const long = 'a long name of a photo of the lake at the foot of the mountain '.repeat(3).trim()
  const endings = {
    [`${long} (0012).jpg`]: ' (0012).jpg',
    [`${long}-7`]: '-7',
    [`${long}.jpg .exe`]: '.exe',
    [`${'שלום'.repeat(25)} 2024.pdf`]: ' 2024.pdf',
    [`${'تقرير '.repeat(20)}(٢).pdf`]: ' (٢).pdf',
    [`\u202E${'photo'.repeat(30)}gpj.exe`]: '.exe'
  }
  const visit = await visitAs(t, {})
  const { page } = visit
  await putMany(visit, Object.keys(endings))
  for (const layout of ['List', 'Tiles']) {
    await page.getByRole('button', { name: layout, exact: true }).click()
    for (const width of widths(320)) {
      await page.setViewportSize({ width, height: 800 })
      for (const [name, ending] of Object.entries(endings)) {
        const control = page.getByRole('grid').getByRole('button', { name: visibleName(name), exact: true })
        const ends = control.locator('.cut-name .ending')
        t.equal((await ends.allTextContents()).join(''), ending)
        t.ok(await ends.evaluateAll(elements => elements.every(element => {
          const [outer, inner] = [element.closest('.cut-name')!, element].map(element => element.getBoundingClientRect())
          return inner!.width > 0 && inner!.left >= outer!.left - 1 && inner!.right <= outer!.right + 1
        })), `${layout}, ${width} px: the end of ${visibleName(name)} is seen`)
        t.ok(await control.locator('.stem').evaluate(stem => stem.scrollWidth > stem.clientWidth), 'its middle is cut')
      }
      await checkFits(t, page, layout)
      await checkVisible(t, page, layout)
      await checkAccessible(t, page, `${layout}, ${width} px`)
    }
  }
})
