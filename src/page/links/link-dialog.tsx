import { useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { Dialog } from '../dialog.tsx'
import { codeOf } from '../errors.ts'
import { FileName } from '../file-name.tsx'
import { notify } from '../notices.tsx'
import { lastOf } from '../paths.ts'
import { ProblemText, Retry } from '../problem.tsx'
import { QrCode } from '../qr-code.tsx'
import { Question } from '../question.tsx'
import { SecretField } from '../secret-field.tsx'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { useLoaded } from '../use-loaded.ts'
import { LinkForm } from './link-form.tsx'
import {
  addressOf, changeLink, createLink, findLink, replaceSecret, revokeLink, type CreatedLink, type Link, type LinkKind,
  type LinkTerms
} from './links.ts'
import { newTerms } from './terms.ts'
import { useUnsaved, type Unsaved } from './use-unsaved.tsx'

const words = texts.links

/** `new`: a link that is not made yet. */
type Shown = 'new' | Link | CreatedLink

interface LinkDialogProps { name: string, kind: LinkKind, onClose: () => void }

/** The newest link of a file or folder, or the form that makes one. Nothing is public before that is sent. */
export function LinkDialog ({ name, kind, onClose }: LinkDialogProps) {
  const { value: found, error, reload } = useLoaded(async (): Promise<Shown> => await findLink(name, kind) ?? 'new')
  const [chosen, setChosen] = useState<Shown>()
  const unsaved = useUnsaved(onClose)
  const shown = chosen ?? found
  const title = (kind === 'upload' ? words.requestTitleOf : words.titleOf)(lastOf(name))
  const make = async (terms: LinkTerms) => setChosen(await createLink(name, kind, terms))
  return (
    <Dialog title={title} onClose={unsaved.close}>
      {error !== undefined && <Retry error={error} action={() => { void reload() }} />}
      {shown === undefined && error === undefined && <p class='muted' role='status'>{texts.loading}</p>}
      {shown !== undefined && <p>{kind === 'upload' ? words.requestHint : words.hint}</p>}
      {shown === 'new' && (
        <LinkForm terms={newTerms(kind)} label={words.create} action={make} cancel={texts.cancel} unsaved={unsaved} />
      )}
      {typeof shown === 'object' && (
        <LinkDetails
          link={shown} unsaved={unsaved} onClose={onClose} onReplaced={setChosen} onAnother={() => setChosen('new')}
        />
      )}
      {unsaved.question}
    </Dialog>
  )
}

interface LinkDetailsProps {
  link: Link | CreatedLink
  unsaved: Unsaved
  onClose: () => void
  onReplaced: (link: CreatedLink) => void
  onAnother?: () => void
}

/** The address of a link, and what can be changed. */
export function LinkDetails ({ link, unsaved, onClose, onReplaced, onAnother }: LinkDetailsProps) {
  const revoking = useAction(async () => {
    await revokeLink(link)
    notify({ text: words.revoked })
    onClose()
  })
  const save = async (terms: LinkTerms) => {
    if (Object.keys(terms).length > 0) await changeLink(link, terms)
    notify({ text: words.changed })
    onClose()
  }
  return (
    <>
      <LinkAddress key={`address ${'url' in link ? link.url : link.id}`} link={link} onReplaced={onReplaced} />
      <LinkForm
        key={`form ${link.id}`} terms={link} label={words.save} action={save} cancel={texts.account.done}
        unsaved={unsaved}
      />
      <ProblemText error={revoking.error} />
      <div class='actions'>
        {onAnother !== undefined && (
          <button type='button' onClick={() => unsaved.leave(onAnother)}>{words.another}</button>
        )}
        <ActionButton action={revoking} class='danger'>{words.revoke}</ActionButton>
      </div>
    </>
  )
}

interface LinkAddressProps { link: Link | CreatedLink, onReplaced: (link: CreatedLink) => void }

/** The address of a link. The server may not know it any more: then the link can have a new one. */
function LinkAddress ({ link, onReplaced }: LinkAddressProps) {
  const { value: address, error, reload } = useLoaded(() => addressOf(link))
  const [isAsking, setAsking] = useState(false)
  if (address !== undefined) return <Address address={address} name={link.name} isNew={'url' in link} />
  if (error === undefined) return <p class='muted' role='status'>{texts.loading}</p>
  if (codeOf(error) !== 'link_address_unknown') return <Retry error={error} action={() => { void reload() }} />
  return (
    <>
      <p class='hint'>{words.addressUnknown}</p>
      <div class='actions'><button type='button' onClick={() => setAsking(true)}>{words.newSecret}</button></div>
      {isAsking && <NewSecretQuestion link={link} onReplaced={onReplaced} onClose={() => setAsking(false)} />}
    </>
  )
}

/** The address of a new link is copied at once. */
function Address ({ address, name, isNew }: { address: string, name: string, isNew: boolean }) {
  const share = async () => {
    // Rejects if the user chooses nothing.
    await navigator.share({ title: lastOf(name), url: address }).catch(() => {})
  }
  return (
    <>
      <SecretField label={words.address} secret={address} copiesAtOnce={isNew} />
      <details class='qr'>
        <summary>{words.qrCode}</summary>
        <QrCode text={address} label={words.qrCodeOf(lastOf(name))} />
      </details>
      {'share' in navigator && (
        <div class='actions'><button type='button' onClick={() => { void share() }}>{words.share}</button></div>
      )}
    </>
  )
}

interface NewSecretProps { link: Link, onReplaced: (link: CreatedLink) => void, onClose: () => void }

/** Asks before a link gets another address. */
export function NewSecretQuestion ({ link, onReplaced, onClose }: NewSecretProps) {
  const replace = async () => onReplaced(await replaceSecret(link))
  return (
    <Question title={words.newSecretTitle} label={words.newSecret} action={replace} onClose={onClose}>
      <p>{words.newSecretHint} <FileName name={link.name} /></p>
    </Question>
  )
}
