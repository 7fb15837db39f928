import { useId } from 'preact/hooks'
import { ExpiryField } from '../expiry.tsx'
import { fieldsOf } from '../fields.tsx'
import { formatTime } from '../format.ts'
import { ProblemText } from '../problem.tsx'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { changeLink, type Link } from './links.ts'
import { lifetimes, megabytesOf, termsOf } from './terms.ts'

interface LinkFormProps {
  link: Link
  onChanged: () => void
  onCancel: () => void
  /** The label of the button that changes nothing. */
  cancel: string
}

/** The form that changes a link. */
export function LinkForm ({ link, onChanged, onCancel, cancel }: LinkFormProps) {
  const { run, isRunning, error } = useAction(async (fields: FormData) => {
    const terms = termsOf(link, fields)
    if (Object.keys(terms).length > 0) await changeLink(link, terms)
    onChanged()
  })
  return (
    <form onSubmit={event => { void run(fieldsOf(event)) }}>
      <ExpiryField words={texts.links} choices={lifetimesOf(link)} first='keep' />
      <PasswordFields link={link} />
      {link.kind === 'upload' && <LimitFields link={link} />}
      <label class='choice'>
        <input type='checkbox' name='showsOwner' defaultChecked={link.showsOwner} />
        <span>{texts.links.showsOwner}</span>
      </label>
      <ProblemText error={error} />
      <div class='actions end'>
        <button type='button' onClick={onCancel}>{cancel}</button>
        <button class='primary' aria-disabled={isRunning}>{texts.links.save}</button>
      </div>
    </form>
  )
}

/** The lifetimes with their labels. The label of `keep` has the present expiry. */
function lifetimesOf ({ expiresAt }: Link) {
  const words = texts.links
  const present = words.keep(expiresAt === null ? words.lifetimes.never : formatTime(expiresAt))
  return lifetimes.map(name => [name, name === 'keep' ? present : words.lifetimes[name]] as const)
}

/** The password can be read while it is typed: the owner has to tell it to somebody. */
function PasswordFields ({ link: { hasPassword } }: { link: Link }) {
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

function LimitFields ({ link: { maxFiles, maxBytes } }: { link: Link }) {
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
