import { readText, writeText } from './stored-texts.ts'

/** The same for each page of a server, also that of a link, and kept after the user has signed out. */
const KEY = 'magicstore language'

/** The language that the user has chosen (BCP 47); undefined if the page follows the browser. */
export function chosenLanguage (): string | undefined {
  return readText(KEY)
}

/** Chooses a language from the next load of a page on; undefined to follow the browser. */
export function chooseLanguage (language: string | undefined): void {
  writeText(KEY, language)
}
