import { useState } from 'preact/hooks'
import { Section } from '../account/section.tsx'
import { Dialog } from '../dialog.tsx'
import { EmptyList } from '../files/list-state.tsx'
import { useFresh } from '../files/use-fresh.ts'
import { FileName } from '../file-name.tsx'
import { lastOf } from '../paths.ts'
import { Retry } from '../problem.tsx'
import { Question } from '../question.tsx'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { LinkDetails, NewSecretQuestion } from './link-dialog.tsx'
import { LinkRow } from './link-row.tsx'
import { links, loadLinks, revokeAllLinks, revokeLink, type CreatedLink, type Link } from './links.ts'
import { useUnsaved } from './use-unsaved.tsx'

const words = texts.links

/** How many more rows each click shows. */
const PAGE_ROWS = 100

type Opened =
  | { readonly kind: 'change' | 'secret' | 'revocation', readonly link: Link | CreatedLink }
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
    case 'change': return (
      <LinkSettings
        link={opened.link} onReplaced={link => onOpen({ kind: 'change', link })} onClose={onClose}
      />
    )
    case 'secret': return (
      <NewSecretQuestion
        link={opened.link} onReplaced={link => onOpen({ kind: 'change', link })} onClose={onClose}
      />
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

interface LinkSettingsProps { link: Link | CreatedLink, onReplaced: (link: CreatedLink) => void, onClose: () => void }

function LinkSettings ({ link, onReplaced, onClose }: LinkSettingsProps) {
  const unsaved = useUnsaved(onClose)
  return (
    <Dialog title={words.titleOf(lastOf(link.name))} onClose={unsaved.close}>
      <LinkDetails link={link} unsaved={unsaved} onReplaced={onReplaced} onClose={onClose} />
      {unsaved.question}
    </Dialog>
  )
}
