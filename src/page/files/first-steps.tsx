import { signal } from '@preact/signals'
import { useId } from 'preact/hooks'
import { folder } from '../folder.ts'
import { Icon } from '../icon.tsx'
import { IconButton } from '../icon-button.tsx'
import { texts } from '../later-texts.ts'
import { session, usernameOf } from '../session-state.ts'
import { createStoredMap } from '../stored-texts.ts'
import { entries } from './entries.ts'
import { keyOf } from './list-choice.ts'

/** The accounts that have hidden it. They stay after the user has signed out, so the keys are no names. */
const [loadHidden, saveHidden] = createStoredMap<true>(`first steps ${folder.pathname}`)

const hidden = signal(loadHidden())

const steps = [['drive', 'files'], ['phone', 'phone'], ['factor', 'account']] as const

/** What a new user may not know, until it is hidden. It comes below the list and after it, so that nothing moves. */
export function FirstSteps () {
  const id = useId()
  const account = keyOf(usernameOf(session.value))
  const isListed = entries.isComplete.value || entries.entries.value.length > 0
  if (!isListed || hidden.value[account] === true) return null
  const words = texts.firstSteps
  const hide = () => {
    hidden.value = { ...hidden.peek(), [account]: true }
    saveHidden(hidden.peek())
  }
  return (
    <section class='card first-steps' aria-labelledby={id}>
      <h3 id={id}>{words.title}</h3>
      <IconButton icon='close' label={words.hide} title={words.hide} onClick={hide} />
      <ul>
        {steps.map(([step, icon]) => (
          <li key={step}>
            <Icon name={icon} />
            <div><a href='#account'>{words.steps[step].title}</a><p class='hint'>{words.steps[step].hint}</p></div>
          </li>
        ))}
      </ul>
    </section>
  )
}
