import { useId, useLayoutEffect, useRef } from 'preact/hooks'
import { ExpiryField } from '../expiry.tsx'
import { fieldsOf } from '../fields.tsx'
import { formatTime } from '../format.ts'
import { ProblemText } from '../problem.tsx'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import type { LinkTerms } from './links.ts'
import { changesOf, lifetimes, megabytesOf, termsOf, type ShownTerms } from './terms.ts'
import type { Unsaved } from './use-unsaved.tsx'

interface LinkFormProps {
  /** As they are now; for a new link, the defaults. */
  terms: ShownTerms
  /** The label of the button that sends the form. */
  label: string
  /** Gets what was changed. */
  action: (terms: LinkTerms) => Promise<void>
  /** The label of the button that closes the dialog. */
  cancel: string
  unsaved: Unsaved
}

/** The form of a link that is made or changed. */
export function LinkForm ({ terms, label, action, cancel, unsaved }: LinkFormProps) {
  const form = useRef<HTMLFormElement>(null)
  const { run, isRunning, error } = useAction((fields: FormData) => action(termsOf(terms, fields)))
  useLayoutEffect(() => {
    unsaved.hasChanges.current = () => form.current !== null && (
      // What is not valid, such as a date that is missing, can't be read.
      form.current.matches(':invalid') || Object.keys(changesOf(terms, new FormData(form.current))).length > 0
    )
    return () => { unsaved.hasChanges.current = () => false }
  }, [terms])
  return (
    <form ref={form} onSubmit={event => { void run(fieldsOf(event)) }}>
      <ExpiryField words={texts.links} choices={lifetimesOf(terms)} first='keep' />
      <PasswordFields terms={terms} />
      {terms.kind === 'upload' && <LimitFields terms={terms} />}
      <label class='choice'>
        <input type='checkbox' name='showsOwner' defaultChecked={terms.showsOwner} />
        <span>{texts.links.showsOwner}</span>
      </label>
      <ProblemText error={error} />
      <div class='actions end'>
        <button type='button' onClick={unsaved.close}>{cancel}</button>
        <button class='primary' aria-disabled={isRunning}>{label}</button>
      </div>
    </form>
  )
}

/** The lifetimes with their labels. The label of `keep` has the present expiry. */
function lifetimesOf ({ expiresAt }: ShownTerms) {
  const words = texts.links
  const present = expiresAt === undefined
    ? words.longest
    : words.keep(expiresAt === null ? words.lifetimes.never : formatTime(expiresAt))
  return lifetimes.map(name => [name, name === 'keep' ? present : words.lifetimes[name]] as const)
}

/** The password can be read while it is typed: the owner has to tell it to somebody. */
function PasswordFields ({ terms: { hasPassword } }: { terms: ShownTerms }) {
  const id = useId()
  const words = texts.links
  return (
    <div class='field'>
      <label for={id}>{words.password}</label>
      <input
        id={id} name='password' autocomplete='off' autocapitalize='none' spellcheck={false} dir='auto'
        aria-describedby={`${id}-hint`}
      />
      <p class='hint' id={`${id}-hint`}>{hasPassword ? words.passwordKept : words.passwordHint}</p>
      {hasPassword && (
        <label class='choice'>
          <input type='checkbox' name='removesPassword' /><span>{words.removePassword}</span>
        </label>
      )}
    </div>
  )
}

function LimitFields ({ terms: { maxFiles, maxBytes } }: { terms: ShownTerms }) {
  const id = useId()
  return (
    <div class='limits'>
      <div class='field'>
        <label for={`${id}-files`}>{texts.links.maxFiles}</label>
        <input
          id={`${id}-files`} type='number' name='maxFiles' required min={1} max={1_000_000}
          defaultValue={String(maxFiles)}
        />
      </div>
      <div class='field'>
        <label for={`${id}-bytes`}>{texts.links.maxMegabytes}</label>
        <input
          id={`${id}-bytes`} type='number' name='maxMegabytes' required min={1} max={9_000_000_000}
          defaultValue={String(megabytesOf(maxBytes))}
        />
      </div>
    </div>
  )
}
