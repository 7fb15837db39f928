import { formatNumber } from './format.ts'
import { providerName } from './settings.ts'
import type { Tools } from './texts/tools.ts'
import { visibleName } from './visible-name.ts'

/** The language that `language.ts` has found. */
const { lang } = document.documentElement

const rules = new Intl.PluralRules(lang)

const tools: Tools = {
  visible: visibleName,
  number: formatNumber,
  plural: (value, forms: Readonly<Partial<Record<Intl.LDMLPluralRule, string>>>) =>
    (forms[rules.select(value)] ?? forms.other ?? '').replace('#', formatNumber(value)),
  provider: providerName
}

/** Where the texts of the language are: those of the first view of a page, or the later ones. */
export function addressOfTexts (isLater: boolean): string | undefined {
  const address = document.body.dataset[isLater ? `${lang}Later` : lang]
  return address === undefined ? undefined : new URL(address, document.baseURI).href
}

/** Loads texts in the language of the page. @throws TypeError if they can't be loaded. */
export async function loadTexts<Texts> (isLater = false): Promise<Texts> {
  const { texts } = await import(addressOfTexts(isLater) ?? '') as { texts: (tools: Tools) => Texts }
  return texts(tools)
}
