import { chosenLanguage, chooseLanguage } from '../language-choice.ts'
import { texts } from '../later-texts.ts'
import type { Language } from '../texts/tools.ts'
import { Section } from './section.tsx'

/** Each in itself, for those who read no other. */
const names: Record<Language, string> = { de: 'Deutsch', en: 'English', fr: 'Français' }

/** Chooses the language of this browser. The page is loaded again, because texts are everywhere. */
export function LanguageSection () {
  const { title, hint, asBrowser } = texts.account.languages
  const choose = ({ currentTarget }: { currentTarget: HTMLSelectElement }) => {
    chooseLanguage(currentTarget.value === '' ? undefined : currentTarget.value)
    location.reload()
  }
  return (
    <Section title={title} hint={hint}>
      <select aria-label={title} value={chosenLanguage() ?? ''} onChange={choose}>
        <option value=''>{asBrowser}</option>
        {Object.entries(names).map(([language, name]) => (
          <option key={language} value={language} lang={language}>{name}</option>
        ))}
      </select>
    </Section>
  )
}
