import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { GAP, languages, readTexts, type Language } from '../../kit/page-texts.ts'
import { isProof } from '../../kit/sizes.ts'
import { browserTest, phone, shows } from '../browser.ts'
import { chooseFrom, PICTURE, textFile } from '../files-page.ts'
import { giveAway, openLink, startLinks } from '../links-page.ts'
import { checkAccessible, checkFits, openPage, PASSWORD } from '../page.ts'

/** The texts of the page in a language, as the browser makes them. */
function wordsIn (language: Language) {
  const rules = new Intl.PluralRules(language)
  const number = (value: number) => new Intl.NumberFormat(language).format(value)
  const plural = (value: number, forms: Readonly<Record<string, string>>) => String(forms[rules.select(value)]).replace('#', number(value))
  const tools = { visible: String, number, plural, provider: '' }
  const { page, later, link } = languages[language]
  return { page: page(tools), later: later(tools), link: link(tools) }
}

/** Texts as patterns: names and numbers can be anything. Those of less than three letters would match too much. */
function patternsOf (language: Language): RegExp[] {
  const texts = Array.from(readTexts(language).texts.values(), text => text.trim())
  const telling = texts.filter(text => /\p{L}{3}/u.test(text.replaceAll(GAP, '')))
  return telling.map(text => new RegExp(`^${text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&').replaceAll(GAP, '.+')}$`, 'su'))
}

/** All texts that people see or hear. */
function textsOn (page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const texts = [document.title]
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (walker.nextNode() !== null) texts.push(walker.currentNode.textContent ?? '')
    for (const name of ['aria-label', 'title', 'placeholder']) {
      for (const element of document.querySelectorAll(`[${name}]`)) texts.push(element.getAttribute(name) ?? '')
    }
    return texts.map(text => text.trim()).filter(text => text !== '')
  })
}

/** Asserts that nothing on the page is in English, that axe-core finds nothing, and that it fits. */
async function checkLanguage (t: Test, page: Page, language: Language, what: string): Promise<void> {
  const [own, english] = [patternsOf(language), patternsOf('en')]
  const isIn = (patterns: RegExp[], text: string) => patterns.some(pattern => pattern.test(text))
  t.same((await textsOn(page)).filter(text => isIn(english, text) && !isIn(own, text)), [], `nothing is English in ${what}, ${language}`)
  await checkAccessible(t, page, `${what}, ${language}`)
  await checkFits(t, page, `${what}, ${language}`)
}

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
const menuItem = (page: Page, name: string) => page.getByRole('menuitem', { name, exact: true })
const languageOf = (page: Page) => page.evaluate(() => [document.documentElement.lang, document.documentElement.dir])

async function signInWith (
  page: Page, { page: { sign } }: ReturnType<typeof wordsIn>, user: string, password: string
): Promise<void> {
  await page.getByLabel(sign.username).fill(user)
  await page.getByLabel(sign.password, { exact: true }).fill(password)
  await button(page, sign.in).click()
}

const [german, french] = [['de', 'de-AT', 'fr', 'Français'], ['fr', 'fr-CA', 'de', 'Deutsch']] as const

// No text is missing in a language, because it would not compile. German is longer than French.
for (const [language, locale, other, name] of isProof ? [german, french] : [german]) {
  browserTest(`all is in the language of the browser, ${language}, and in another one after a choice`, async t => {
    const words = wordsIn(language)
    const { files, links, uploads, views } = words.page
    const server = await startLinks(t)
    await server.put('shared.txt', 'hello')
    const shared = await giveAway(server, server.token, { name: 'shared.txt' })
    const { page } = await openPage(t, server.url, { locale, ...phone })
    t.same(await languageOf(page), [language, 'ltr'])
    await checkLanguage(t, page, language, 'the sign-in')
    await signInWith(page, words, server.username, 'something else')
    await page.getByRole('alert').getByText(words.page.problems.credentials_wrong).waitFor()
    await checkLanguage(t, page, language, 'a refusal')
    await signInWith(page, words, server.username, PASSWORD)

    await chooseFrom(button(page, uploads.add), [textFile('a.txt'), textFile('b.txt')])
    await button(page, files.menuOf('b.txt')).click()
    await checkLanguage(t, page, language, 'a menu')
    await menuItem(page, files.rename).click()
    const field = page.getByLabel(files.newName('b.txt'))
    await field.fill('a.txt')
    await field.press('Enter')
    await page.getByRole('alert').getByText(words.page.problems.name_taken).waitFor()
    await checkLanguage(t, page, language, 'the files')
    await field.fill('c.txt')
    await field.press('Enter')
    await page.getByRole('status').getByText(files.renamed('c.txt')).waitFor()
    await button(page, files.menuOf('c.txt')).click()
    await menuItem(page, links.of).click()
    await button(page, words.later.links.create).click()
    await button(page, words.later.links.another).waitFor()
    await checkLanguage(t, page, language, 'a link')
    // A menu would close when the list shows that the file has a link now.
    await page.reload()
    await button(page, files.menuOf('c.txt')).click()
    await menuItem(page, files.remove).click()
    await page.getByRole('status').getByText(files.deleted('c.txt')).waitFor()
    await page.getByRole('grid').getByRole('button', { name: 'a.txt', exact: true }).click()
    await button(page, words.later.files.next).waitFor()
    await checkLanguage(t, page, language, 'a preview')
    await page.keyboard.press('Escape')
    for (const view of ['recent', 'starred', 'links', 'trash', 'account'] as const) {
      await page.getByRole('link', { name: views[view], exact: true }).click()
      await page.getByRole('heading', { name: views[view], level: 2 }).waitFor()
      if (view === 'account') await page.getByText(words.later.account.kinds.session_created).first().waitFor()
      await checkLanguage(t, page, language, view)
    }

    const chosen = wordsIn(other)
    await page.getByRole('combobox', { name: words.later.account.languages.title }).selectOption({ label: name })
    await page.getByRole('heading', { name: chosen.page.views.account, level: 2 }).waitFor()
    await page.getByText(chosen.later.account.kinds.session_created).first().waitFor()
    t.same(await languageOf(page), [other, 'ltr'])
    await page.reload()
    await page.getByText(chosen.later.account.kinds.session_created).first().waitFor()
    await checkLanguage(t, page, other, 'the account after a choice')
    await page.goto(shared.url)
    await page.getByText(chosen.link.download, { exact: true }).waitFor()
    t.same(await languageOf(page), [other, 'ltr'], 'a page of a link in the same browser follows the choice')
    const visitor = await openLink(t, shared.url, { locale, ...phone })
    await visitor.page.getByText(words.link.download, { exact: true }).waitFor()
    await checkLanguage(t, visitor.page, language, 'a page of a link')
    await page.goto(`${server.url}/#account`)
    await page.getByRole('combobox', { name: chosen.later.account.languages.title }).selectOption('')
    await page.getByRole('heading', { name: views.account, level: 2 }).waitFor()
    t.same(await languageOf(page), [language, 'ltr'], 'as the browser, again')
  })
}

browserTest('a browser whose languages the page does not have gets English, and so does one without storage', async t => {
  const { page } = await openPage(t, (await startLinks(t)).url, { locale: 'nl-NL' })
  t.same(await languageOf(page), ['en', 'ltr'])
  await page.addInitScript("Object.defineProperty(window, 'localStorage', { get () { throw new Error('refused') } })")
  await page.reload()
  await button(page, 'Sign in').waitFor()
})

/** English in letters that are written from right to left. */
const turn = (text: string) => text.replace(/[a-z]/gi, letter => 'אבגדהוזחטיכלמנסעפצקרשתאבגד'.charAt(letter.toLowerCase().charCodeAt(0) - 97))

/** What a browser gets in place of the English texts at an address. */
const turned = (address: string) => `
import { texts as make } from '${address}?real'
const turn = ${turn.toString()}
const turnAll = value => typeof value === 'string' ? turn(value)
  : typeof value === 'function' ? (...values) => turn(value(...values))
    : Object.fromEntries(Object.entries(value).map(([key, value]) => [key, turnAll(value)]))
export const texts = tools => ({ ...turnAll(make(tools)), language: 'he', direction: 'rtl' })`

/** Has the browser show a pseudo-language. */
async function turnTexts (page: Page): Promise<void> {
  await page.route(/\/en-(?:page|later|link)-\w+\.js$/, route =>
    route.fulfill({ contentType: 'text/javascript', body: turned(new URL(route.request().url()).pathname) }))
}

browserTest('a language that is written from right to left fits a phone, and its keys and signs point the other way', async t => {
  const server = await startLinks(t)
  for (const name of ['a.txt', 'b.txt', 'dir/c.txt']) await server.put(name, 'hello', 'text/plain')
  await server.put('d.png', PICTURE.bytes, PICTURE.type)
  const shared = await giveAway(server, server.token, { name: 'dir' })
  // The service worker would answer with the texts that it keeps.
  const { page } = await openPage(t, server.url, { ...phone, serviceWorkers: 'block' })
  await turnTexts(page)
  await page.reload()
  const { page: { sign, files, views, uploads }, later } = wordsIn('en')
  await button(page, turn(sign.in)).waitFor()
  t.same(await languageOf(page), ['he', 'rtl'])
  await checkFits(t, page, 'the sign-in')
  await page.locator('[name=username]').fill(server.username)
  await page.locator('[name=password]').fill(PASSWORD)
  await button(page, turn(sign.in)).click()
  await chooseFrom(button(page, turn(uploads.add)), [textFile('e.txt'), textFile('a.txt')])
  await page.getByRole('grid').getByText('e.txt').waitFor()
  await checkFits(t, page, 'the files')
  const boxes = await page.locator('.row [type=checkbox]').evaluateAll(all => all.map(box => box.getBoundingClientRect().left))
  t.ok(boxes.every(left => left > 195), 'rows begin at the right')
  await button(page, turn(files.menuOf('b.txt'))).click()
  await checkFits(t, page, 'a menu')
  await page.keyboard.press('Escape')
  await page.getByRole('grid').getByRole('button', { name: 'a.txt', exact: true }).click()
  const dialog = page.getByRole('dialog')
  const aligned = (text: 'pre' | 'textarea') => dialog.locator(text).evaluate(element => [getComputedStyle(element).direction, getComputedStyle(element).textAlign])
  await dialog.getByText('hello').waitFor()
  t.same(await aligned('pre'), ['ltr', 'start'], 'an English text begins at the left')
  await checkFits(t, page, 'a preview')
  await page.keyboard.press('ArrowLeft')
  await shows(t, () => dialog.locator('h2').innerText(), 'b.txt', 'what comes next is at the left')
  await page.keyboard.press('ArrowRight')
  await shows(t, () => dialog.locator('h2').innerText(), 'a.txt')
  t.equal(await button(page, turn(later.files.next)).locator('svg').evaluate(element => getComputedStyle(element).transform), 'matrix(-1, 0, 0, 1, 0, 0)')
  await button(page, turn(later.editor.edit)).click()
  await dialog.locator('textarea').waitFor()
  t.same(await aligned('textarea'), ['ltr', 'start'])
  await checkFits(t, page, 'the editor')
  await checkAccessible(t, page, 'the editor from right to left')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  await page.getByRole('grid').getByRole('button', { name: 'd.png', exact: true }).click()
  await dialog.locator('img.shown').waitFor()
  await page.keyboard.press('i')
  await dialog.locator('.side-facts').waitFor()
  await checkFits(t, page, 'the viewer')
  await checkAccessible(t, page, 'the viewer from right to left')
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'detached' })
  await button(page, turn(files.layouts.tiles)).click()
  await page.locator('.tile').first().waitFor()
  await checkFits(t, page, 'the tiles')
  await button(page, turn(files.layouts.timeline)).click()
  await page.locator('.shot').first().waitFor()
  await checkFits(t, page, 'the timeline')
  await checkAccessible(t, page, 'the timeline from right to left')
  for (const view of ['recent', 'starred', 'links', 'trash', 'account'] as const) {
    await page.getByRole('link', { name: turn(views[view]), exact: true }).click()
    await page.getByRole('heading', { name: turn(views[view]), level: 2 }).waitFor()
    if (view === 'account') await page.getByText(turn(later.account.kinds.session_created)).first().waitFor()
    await checkFits(t, page, view)
    // There the pseudo-language turns the names of folders too, but not where they are shown.
    if (view !== 'recent') await checkAccessible(t, page, `${view} from right to left`)
  }
  await page.goto(shared.url)
  await page.getByText('c.txt').waitFor()
  t.same(await languageOf(page), ['he', 'rtl'])
  await checkFits(t, page, 'a page of a link')
  await checkAccessible(t, page, 'a page of a link from right to left')
})
