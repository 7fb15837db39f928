import { chosenLanguage } from './language-choice.ts'

// A small script of its own, which runs while the browser still loads that of the page, so that the texts come at the
// same time.

const { dataset } = document.body
const wanted = [chosenLanguage(), ...navigator.languages.map(tag => tag.split('-')[0])]
const language = wanted.find(language => language !== undefined && Object.hasOwn(dataset, language)) ?? 'en'
document.documentElement.lang = language
import(new URL(dataset[language] ?? '', document.baseURI).href).catch(() => {})
