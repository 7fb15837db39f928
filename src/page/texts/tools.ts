/** The plural forms of each language (Unicode CLDR). */
interface PluralForms {
  en: 'one' | 'other'
  de: 'one' | 'other'
  fr: 'one' | 'many' | 'other'
}

/** The languages of the page (BCP 47). */
export type Language = keyof PluralForms

/** What the texts of a language are made with. */
export interface Tools<Of extends Language = Language> {
  /** A name with code points instead of characters that can't be seen. */
  readonly visible: (name: string) => string
  readonly number: (value: number) => string
  /** The form for a number, which replaces `#`. */
  readonly plural: (value: number, forms: Readonly<Record<PluralForms[Of], string>>) => string
  /** The name of the identity provider; empty if there is none. */
  readonly provider: string
}
