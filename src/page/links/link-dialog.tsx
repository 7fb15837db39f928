import { ActionButton } from '../action-button.tsx'
import { Dialog } from '../dialog.tsx'
import { notify } from '../notices.tsx'
import { lastOf } from '../paths.ts'
import { Retry } from '../problem.tsx'
import { SecretField } from '../secret-field.tsx'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { useLoaded } from '../use-loaded.ts'
import { LinkForm } from './link-form.tsx'
import { addressOf, createLink, revokeLink, type CreatedLink, type LinkKind } from './links.ts'

const words = texts.links

interface LinkDialogProps { name: string, kind: LinkKind, onClose: () => void }

/** Makes a link at once with the defaults of the server, copies it, and lets the user change or revoke it. */
export function LinkDialog ({ name, kind, onClose }: LinkDialogProps) {
  const { value: link, error, reload } = useLoaded(() => createLink(name, kind))
  const title = (kind === 'upload' ? words.requestTitleOf : words.titleOf)(lastOf(name))
  return (
    <Dialog title={title} onClose={onClose}>
      {error !== undefined && <Retry error={error} action={() => { void reload() }} />}
      {link === undefined && error === undefined && <p class='muted' role='status'>{words.creating}</p>}
      {link !== undefined && <Created link={link} onClose={onClose} />}
    </Dialog>
  )
}

function Created ({ link, onClose }: { link: CreatedLink, onClose: () => void }) {
  const revoking = useAction(async () => {
    await revokeLink(link)
    notify({ text: words.revoked })
    onClose()
  })
  const save = () => {
    notify({ text: words.changed })
    onClose()
  }
  return (
    <>
      <p>{link.kind === 'upload' ? words.requestHint : words.hint}</p>
      <LinkAddress link={link} />
      <LinkForm link={link} onChanged={save} onCancel={onClose} cancel={texts.account.done} />
      <div class='actions'><ActionButton action={revoking} class='danger'>{words.revoke}</ActionButton></div>
    </>
  )
}

/** The address of a new link, which is copied at once. */
export function LinkAddress ({ link }: { link: CreatedLink }) {
  return (
    <>
      <SecretField label={words.address} secret={addressOf(link)} copiesAtOnce />
      <p class='hint'>{words.once}</p>
    </>
  )
}
