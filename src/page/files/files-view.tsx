import { MagicStoreError } from 'magicstore'
import { useState } from 'preact/hooks'
import { FileName } from '../file-name.tsx'
import { LinkDialog } from '../links/link-dialog.tsx'
import { refreshLinks } from '../links/links.ts'
import { lastOf, parentOf } from '../paths.ts'
import { hasLinks } from '../settings.ts'
import { texts } from '../texts.ts'
import { addressOf, openFolder } from '../view.ts'
import { FolderName } from './breadcrumbs.tsx'
import { CopyDialog } from './copy-dialog.tsx'
import { download } from './downloads.ts'
import { draggable, useDragging } from './dragging.ts'
import { entries, filesFocus, isFolder, prefix, runInRow, showFolder, type Entry } from './entries.ts'
import { EntryCells, EntryHeader } from './entry-cells.tsx'
import { removeFile } from './files.ts'
import { NewFolder, RemovalQuestion } from './folder-dialogs.tsx'
import { removeEmpty } from './folders.ts'
import { ListState } from './list-state.tsx'
import { Menu, type MenuItem } from './menu.tsx'
import { MoveDialog } from './move-dialog.tsx'
import { Preview } from './preview.tsx'
import { RowGrid } from './row-grid.tsx'
import { Toolbar } from './toolbar.tsx'
import { refreshUsage, UsageBar } from './usage.tsx'
import { useFresh } from './use-fresh.ts'
import { Versions } from './versions.tsx'

type Part = 'link' | 'request' | 'preview' | 'versions' | 'renaming' | 'moving' | 'copying' | 'removal'

type Opened =
  | { readonly kind: Part, readonly entry: Entry }
  | { readonly kind: 'menu', readonly entry: Entry, readonly opener: HTMLElement }
  | { readonly kind: 'newFolder' }

type Open = (kind: Part, entry: Entry) => void

/** The open folder. */
export function FilesView () {
  const [opened, setOpened] = useState<Opened | undefined>()
  useFresh(refresh)
  useDragging()
  const open: Open = (kind, entry) => setOpened({ kind, entry })
  const close = () => setOpened(undefined)
  const hasEntries = entries.entries.value.length > 0 && !isMissing()
  const isRenaming = ({ name }: Entry) => opened?.kind === 'renaming' && opened.entry.name === name
  const cellsOf = (entry: Entry, isActive: boolean) => (
    <EntryCells
      entry={entry} isActive={isActive} isRenaming={isRenaming(entry)} onOpen={() => open('preview', entry)}
      onMenu={opener => setOpened({ kind: 'menu', entry, opener })} onRenamed={() => closeDialog(close)}
    />
  )
  return (
    <>
      <Toolbar onNewFolder={() => setOpened({ kind: 'newFolder' })} />
      <UsageBar />
      {isMissing() ? <MissingFolder /> : <ListState listing={entries}><NoEntries /></ListState>}
      {hasEntries && (
        <RowGrid
          class='files' label={texts.views.files} listing={entries} keyOf={({ name }) => name} focus={filesFocus} header={<EntryHeader />}
          cells={cellsOf} onKey={(key, entry) => pressKey(key, entry, open)}
          attributes={entry => isRenaming(entry) ? {} : draggable(entry)}
        />
      )}
      {opened?.kind === 'menu' && (
        <Menu
          label={texts.files.menuOf(lastOf(opened.entry.name))}
          opener={opened.opener}
          items={itemsOf(opened.entry, open)}
          onClose={close}
        />
      )}
      {opened !== undefined && <OpenedDialog opened={opened} open={open} onClose={() => closeDialog(close)} />}
    </>
  )
}

interface OpenedDialogProps { opened: Opened, open: Open, onClose: () => void }

function OpenedDialog ({ opened, open, onClose }: OpenedDialogProps) {
  if (opened.kind === 'newFolder') return <NewFolder onClose={onClose} />
  const { kind, entry } = opened
  if (kind === 'moving') return <MoveDialog entry={entry} onClose={onClose} />
  if (kind === 'link') return <LinkDialog name={entry.name} kind='download' onClose={onClose} />
  if (kind === 'request') return <LinkDialog name={entry.name} kind='upload' onClose={onClose} />
  if (isFolder(entry)) return kind === 'removal' ? <RemovalQuestion folder={entry} onClose={onClose} /> : null
  if (kind === 'copying') return <CopyDialog file={entry} onClose={onClose} />
  if (kind === 'versions') return <Versions name={entry.name} onClose={onClose} />
  if (kind !== 'preview') return null
  return <Preview file={entry} onMove={file => open('preview', file)} onVersions={() => open('versions', entry)} onClose={onClose} />
}

function closeDialog (close: () => void): void {
  close()
  if (entries.entries.value.length > 0) filesFocus.focus()
}

/** Whether the server has no folder at the address of the page. */
function isMissing (): boolean {
  const error = entries.error.value
  return openFolder.value !== '' && error instanceof MagicStoreError && error.status === 404
}

function MissingFolder () {
  const parent = parentOf(openFolder.value)
  return (
    <div class='list-state empty' role='status'>
      <h3>{texts.folders.missing}</h3>
      <p class='muted'>{texts.folders.missingHint}</p>
      <p><a href={addressOf(parent)}>{texts.folders.goUp} <FolderName path={parent} /></a></p>
    </div>
  )
}

function refresh (): void {
  showFolder()
  refreshUsage()
  refreshLinks()
}

function itemsOf (entry: Entry, open: Open): MenuItem[] {
  const move = { label: texts.folders.move, action: () => open('moving', entry) }
  const rename = { label: texts.files.rename, action: () => open('renaming', entry) }
  const remove = { label: texts.files.remove, isDanger: true, action: () => { void removeEntry(entry, open) } }
  const link = hasLinks ? [{ label: texts.links.of, action: () => open('link', entry) }] : []
  const request = hasLinks ? [{ label: texts.links.request, action: () => open('request', entry) }] : []
  if (isFolder(entry)) {
    const openEntry = { label: texts.files.open, action: () => { location.hash = addressOf(entry.name) } }
    return [openEntry, ...link, ...request, rename, move, remove]
  }
  return [
    { label: texts.files.open, action: () => open('preview', entry) },
    { label: texts.files.download, action: () => { void runInRow(entry, download) } },
    ...link,
    rename,
    move,
    { label: texts.files.copy, action: () => open('copying', entry) },
    { label: texts.files.versions, action: () => open('versions', entry) },
    remove
  ]
}

/** Returns whether the key has a meaning. */
function pressKey (key: string, entry: Entry, open: Open): boolean {
  if (key === 'F2') open('renaming', entry)
  else if (key === 'Delete') void removeEntry(entry, open)
  else return false
  return true
}

/** Deletes a file or an empty folder. Asks before it deletes another folder. */
async function removeEntry (entry: Entry, open: Open): Promise<void> {
  await runInRow(entry, async () => {
    if (!isFolder(entry)) await removeFile(entry)
    else if (!await removeEmpty(entry)) open('removal', entry)
  })
}

function NoEntries () {
  if (prefix.value !== '') return <p class='list-state muted'>{texts.files.nothingFound} <FileName name={prefix.value} /></p>
  const title = openFolder.value === '' ? texts.files.empty : texts.folders.empty
  return <div class='list-state empty'><h3>{title}</h3><p class='muted'>{texts.files.emptyHint}</p></div>
}
