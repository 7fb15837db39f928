import { texts as deLater } from '../../src/page/texts/de-later.ts'
import { texts as deLink } from '../../src/page/texts/de-link.ts'
import { texts as dePage } from '../../src/page/texts/de-page.ts'
import { texts as enLater } from '../../src/page/texts/en-later.ts'
import { texts as enLink } from '../../src/page/texts/en-link.ts'
import { texts as enPage } from '../../src/page/texts/en-page.ts'
import { texts as frLater } from '../../src/page/texts/fr-later.ts'
import { texts as frLink } from '../../src/page/texts/fr-link.ts'
import { texts as frPage } from '../../src/page/texts/fr-page.ts'
import type { Language } from '../../src/page/texts/tools.ts'

/** The texts of the page, by language. That none is missing or left over is checked by the compiler. */
export const languages = {
  en: { page: enPage, later: enLater, link: enLink },
  de: { page: dePage, later: deLater, link: deLink },
  fr: { page: frPage, later: frLater, link: frLink }
}

export type { Language }

type Forms = Readonly<Record<string, string>>

/** Stands for a name or a number in a text. */
export const GAP = '\u2423'

/** What functions among the texts are called with: each takes one of these. */
const ARGUMENTS = [
  [2, 3, 4, 5], [2, GAP, GAP, GAP], [GAP, 2, 3, 4], [GAP, GAP, GAP, GAP], [[GAP, GAP]], [GAP, ['totp', 'passkey']]
]

/** All texts in a language by their path, and the plural forms that they give. Each text with a gap is made once. */
export function readTexts (language: Language): { texts: Map<string, string>, forms: Forms[] } {
  const texts = new Map<string, string>()
  const forms: Forms[] = []
  const needs = <Value> (type: string, value: Value): Value => {
    if (typeof value === type) return value
    throw new TypeError(`no ${type}`)
  }
  const tools = {
    visible: (name: string) => needs('string', name),
    number: (value: number) => { needs('number', value); return GAP },
    plural (value: number, given: Forms) {
      needs('number', value)
      forms.push(given)
      return String(given.other).replace('#', GAP)
    },
    provider: GAP
  }
  const add = (path: string, value: unknown): void => {
    if (typeof value === 'string') texts.set(path, value)
    else if (typeof value === 'function') add(path, textOf(value as (...values: unknown[]) => string))
    else for (const [key, inner] of Object.entries(value as object)) add(`${path} ${key}`, inner)
  }
  for (const [name, make] of Object.entries(languages[language])) add(name, make(tools))
  return { texts, forms }
}

/** The text that a function gives for the first arguments that it takes. */
function textOf (make: (...values: unknown[]) => string): string {
  for (const values of ARGUMENTS) {
    try {
      return make(...values)
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
    }
  }
  return ''
}
