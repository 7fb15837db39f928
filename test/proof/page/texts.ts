import { browserTest, isFocused, shows } from '../browser.ts'
import { dialogButton, fileButton, newButton, noDialog, press, stored, visitAs } from '../files-page.ts'
import { checkAccessible, checkFits } from '../page.ts'

const markdown = `# Report

A **bold** word, a [link](https://example.org/a), [another](notes.md), ![a picture](https://example.org/b.png) &amp; <b>markup</b>.

- [x] done
- one

| name | size |
|:-----|-----:|
| a    | 1    |

\`\`\`js
alert(1)
\`\`\`

[runs](javascript:alert(1))
`

browserTest('Markdown is shown as it means, without pictures, markup and links of its own folder; CSV is a table', async t => {
  const wide = Array.from({ length: 1200 }, (_, row) => Array.from({ length: 101 }, (_, column) => `${row}.${column}`).join(';')).join('\n')
  const { page, requested } = await visitAs(t, {
    'a.md': { bytes: markdown, type: 'text/markdown' },
    'b.csv': { bytes: 'name,note\nann,"one, two"\nbob,\n', type: 'text/csv' },
    'c.csv': { bytes: wide.slice(0, 900_000), type: 'application/octet-stream' },
    'd.md': { bytes: '>'.repeat(50_000), type: 'text/markdown' },
    'e.md': { bytes: '# a\n'.repeat(17_000), type: 'text/markdown' }
  })
  await fileButton(page, 'a.md').click()
  const text = page.getByRole('dialog').getByRole('region', { name: 'a.md' })
  await text.getByRole('heading', { name: 'Report', level: 3 }).waitFor()
  t.match(await text.locator('p').first().innerText(), /^A bold word, a link, another, a picture & <b>markup<\/b>\.$/)
  t.strictSame(await text.getByRole('link').evaluateAll(links => links.map(link => link.getAttribute('href'))), ['https://example.org/a'])
  t.strictSame(await text.locator('img, script, b').count(), 0)
  t.match(await text.getByRole('listitem').first().innerText(), /^☑\s+done$/)
  await text.getByRole('cell', { name: '1', exact: true }).waitFor()
  await checkAccessible(t, page, 'Markdown')
  await dialogButton(page, 'Next file').click()
  await page.getByRole('columnheader', { name: 'note' }).waitFor()
  await page.getByRole('cell', { name: 'one, two' }).waitFor()
  await checkAccessible(t, page, 'a table')
  await dialogButton(page, 'Next file').click()
  await page.getByText('Only the first rows and columns.').waitFor()
  t.strictSame(await page.locator('dialog tr').count(), 1000)
  t.strictSame(await page.locator('dialog tr').last().locator('td').count(), 100)
  await page.setViewportSize({ width: 390, height: 800 })
  await checkFits(t, page, 'a wide table')
  await dialogButton(page, 'Next file').click()
  for (const name of ['d.md', 'e.md']) {
    await page.getByRole('dialog').getByRole('region', { name }).waitFor()
    await shows(t, () => page.locator('dialog pre.shown').count(), 1, `${name} would take the parser too long, or too deep`)
    if (name === 'd.md') await dialogButton(page, 'Next file').click()
  }
  t.same(requested.filter(address => address.includes('example.org')), [])
})

browserTest('a text is changed in place: its mark, ends of lines and type stay, the old one is a version, and a conflict asks', async t => {
  const type = 'text/plain; charset=UTF-8'
  const visit = await visitAs(t, { 'a.txt': { bytes: '\uFEFFone\r\ntwo\r\n', type }, 'b.txt': 'b', 'latin.txt': Buffer.from('caf\xE9', 'latin1') })
  const { page, server, user } = visit
  const read = async (name: string) => (await server.send('GET', `/uploads/${name}`, { user })).bytes.toString()
  const field = page.getByRole('textbox', { name: /^Text of/ })
  await fileButton(page, 'a.txt').click()
  await dialogButton(page, 'Edit').click()
  await shows(t, () => isFocused(field), true)
  await checkAccessible(t, page, 'an editor')
  await field.press('Control+End')
  await page.keyboard.type('three')
  await page.keyboard.press('Enter')
  await dialogButton(page, 'Next file').click()
  await page.getByRole('heading', { name: 'Discard the changes?' }).waitFor()
  await press(page, 'ArrowRight', 'Escape')
  await dialogButton(page, 'Save').click()
  await page.getByRole('dialog').locator('pre').getByText('three').waitFor()
  await shows(t, () => isFocused(dialogButton(page, 'Edit')), true)
  t.equal(await read('a.txt'), '\uFEFFone\r\ntwo\r\nthree\r\n')
  t.equal((await server.send('GET', '/api/files/a.txt', { user })).json.type, type)
  t.equal((await server.send('GET', '/api/files/a.txt/versions', { user })).json.versions.length, 1)

  await dialogButton(page, 'Edit').click()
  await field.fill('mine')
  await visit.put('a.txt', 'theirs')
  await field.press('Control+s')
  await page.getByRole('heading', { name: 'The file has changed meanwhile' }).waitFor()
  await checkAccessible(t, page, 'a conflict')
  await dialogButton(page, 'Cancel').click()
  t.equal(await read('a.txt'), 'theirs')
  t.equal(await field.inputValue(), 'mine')
  await dialogButton(page, 'Save').click()
  await dialogButton(page, 'Replace it').click()
  await page.getByRole('dialog').locator('pre').getByText('mine').waitFor()
  t.equal(await read('a.txt'), '\uFEFFmine')
  await press(page, 'Escape')
  await noDialog(page)

  await fileButton(page, 'latin.txt').click()
  await dialogButton(page, 'Edit').click()
  await page.getByText('This is no text in UTF-8.').waitFor()
  await press(page, 'Escape')
  await noDialog(page)
})

browserTest('a new text file is named, written and saved, by the keyboard', async t => {
  const visit = await visitAs(t, {})
  const { page } = visit
  await newButton(page).press('Enter')
  await press(page, 'ArrowDown', 'Enter')
  await page.getByRole('dialog').getByLabel('Name of the file').fill('todo')
  await press(page, 'Enter')
  const field = page.getByRole('textbox', { name: 'Text of todo.txt' })
  await shows(t, () => isFocused(field), true)
  await page.setViewportSize({ width: 390, height: 800 })
  await checkFits(t, page, 'an editor')
  await page.keyboard.type('milk')
  await press(page, 'Control+s')
  await page.getByRole('dialog').locator('pre').getByText('milk').waitFor()
  await press(page, 'Escape')
  await noDialog(page)
  t.same(await stored(visit), ['todo.txt'])
  await shows(t, () => isFocused(fileButton(page, 'todo.txt')), true)
})
