import { useState } from 'preact/hooks'
import { Section } from '../account/section.tsx'
import { Dialog } from '../dialog.tsx'
import { EmptyList } from '../files/list-state.tsx'
import { useFresh } from '../files/use-fresh.ts'
import { FileName } from '../file-name.tsx'
import { lastOf } from '../paths.ts'
import { Retry } from '../problem.tsx'
import { Question } from '../question.tsx'
import { notify } from '../notices.tsx'
import { texts } from '../texts.ts'
import { useAction } from '../use-action.ts'
import { LinkAddress } from './link-dialog.tsx'
import { LinkForm } from './link-form.tsx'
import { LinkRow } from './link-row.tsx'
import { links, loadLinks, replaceSecret, revokeAllLinks, revokeLink, type CreatedLink, type Link } from './links.ts'

const words = texts.links

/** How many more rows each click shows. */
const PAGE_ROWS = 100

type Opened =
  | { readonly kind: 'change' | 'secret' | 'revocation', readonly link: Link }
  | { readonly kind: 'address', readonly link: CreatedLink }
  | { readonly kind: 'all' }

/** The links of the account. */
export function LinksView () {
  const [opened, setOpened] = useState<Opened>()
  const { run, error } = useAction(loadLinks)
  useFresh(() => { void run() })
  const all = links.value
  // A question that opens another dialog calls this afterwards, and must not close that one.
  const close = () => setOpened(now => now === opened ? undefined : now)
  const revokeAll = all !== undefined && all.length > 0 &&
    <button type='button' class='danger' onClick={() => setOpened({ kind: 'all' })}>{words.revokeAll}</button>
  return (
    <div class='account'>
      <h2>{texts.views.links}</h2>
      {error !== undefined && <Retry error={error} action={() => { void run() }} />}
      {all === undefined && error === undefined && <p class='muted' role='status'>{texts.loading}</p>}
      {all?.length === 0 && <EmptyList title={words.none} hint={words.noneHint} />}
      {all !== undefined && all.length > 0 && (
        <Section title={words.listTitle} hint={words.listHint} action={revokeAll}>
          <LinkList links={all} onOpen={setOpened} />
        </Section>
      )}
      {opened !== undefined && <OpenedDialog opened={opened} onOpen={setOpened} onClose={close} />}
    </div>
  )
}

interface LinkListProps { links: readonly Link[], onOpen: (opened: Opened) => void }

function LinkList ({ links, onOpen }: LinkListProps) {
  const [count, setCount] = useState(PAGE_ROWS)
  return (
    <>
      <ul class='rows'>
        {links.slice(0, count)
          .map(link => <LinkRow key={link.id} link={link} onOpen={kind => onOpen({ kind, link })} />)}
      </ul>
      {links.length > count && (
        <div class='actions'>
          <button type='button' onClick={() => setCount(count + PAGE_ROWS)}>{texts.account.showMore}</button>
        </div>
      )}
    </>
  )
}

interface OpenedDialogProps { opened: Opened, onOpen: (opened: Opened) => void, onClose: () => void }

function OpenedDialog ({ opened, onOpen, onClose }: OpenedDialogProps) {
  switch (opened.kind) {
    case 'change': return <ChangeDialog link={opened.link} onClose={onClose} />
    case 'secret': {
      const replace = async () => onOpen({ kind: 'address', link: await replaceSecret(opened.link) })
      return (
        <Question title={words.newSecretTitle} label={words.newSecret} action={replace} onClose={onClose}>
          <p>{words.newSecretHint} <FileName name={opened.link.name} /></p>
        </Question>
      )
    }
    case 'address':
      return (
        <Dialog title={words.titleOf(lastOf(opened.link.name))} onClose={onClose}>
          <LinkAddress link={opened.link} />
          <div class='actions end'>
            <button type='button' class='primary' onClick={onClose}>{texts.account.done}</button>
          </div>
        </Dialog>
      )
    case 'revocation':
      return (
        <Question
          title={words.revokeTitle} label={words.revoke} action={() => revokeLink(opened.link)} onClose={onClose}
        >
          <p>{words.revokeHint} <FileName name={opened.link.name} /></p>
        </Question>
      )
    case 'all':
      return (
        <Question title={words.revokeAllTitle} label={words.revokeAll} action={revokeAllLinks} onClose={onClose}>
          <p>{words.revokeAllHint}</p>
        </Question>
      )
  }
}

function ChangeDialog ({ link, onClose }: { link: Link, onClose: () => void }) {
  const changed = () => {
    notify({ text: words.changed })
    onClose()
  }
  return (
    <Dialog title={words.titleOf(lastOf(link.name))} onClose={onClose}>
      <LinkForm link={link} onChanged={changed} onCancel={onClose} cancel={texts.cancel} />
    </Dialog>
  )
}
