import { useEffect, useState } from 'preact/hooks'
import { statusOf } from '../errors.ts'
import {
  DetailsPanel, FirstSteps, FolderDialog, LinkDialog, MissingFolder, NewFolder, NewText, NoEntries, PhotoDialog,
  Preview, RemovalQuestion, Versions
} from '../later.tsx'
import { refreshLinks } from '../links/links.ts'
import { lastOf } from '../paths.ts'
import { hasLinks, hasTrash } from '../settings.ts'
import { texts } from '../texts.ts'
import { addressOf, openFolder } from '../view.ts'
import { chosenActs, ChosenEntries, removeChosen, starChosen, starLabel } from './chosen-entries.tsx'
import { chosenEntries } from './chosen.ts'
import { detailed, showDetails } from './detailed.ts'
import { download, downloadZip } from './downloads.ts'
import { draggable, useDragging } from './dragging.ts'
import {
  entries, filesFocus, followAddress, isFolder, runInRow, showFolder, showInFolder, fileToFocus, type Entry
} from './entries.ts'
import { EntryCells, EntryHeader } from './entry-cells.tsx'
import { EntryTile } from './entry-tile.tsx'
import { removeFile } from './files.ts'
import { createFolder, moveEntry, removeEmpty } from './folders.ts'
import { layout } from './layout.ts'
import { isScattered, listed } from './list-choice.ts'
import { copyAll } from './many-files.ts'
import { countOf } from './many.ts'
import { ListState } from './list-state.tsx'
import { Menu, type MenuItem, type Point } from './menu.tsx'
import { RowGrid } from './row-grid.tsx'
import { toggleStar } from './stars.ts'
import { TileGrid } from './tile-grid.tsx'
import { Toolbar } from './toolbar.tsx'
import { useFresh } from './use-fresh.ts'

type Part = 'link' | 'request' | 'preview' | 'editor' | 'versions' | 'renaming' | 'moving' | 'copying' | 'removal'

type Opened =
  | { readonly kind: Part, readonly entry: Entry }
  | { readonly kind: 'menu', readonly entry: Entry, readonly opener: HTMLElement, readonly at?: Point }
  | { readonly kind: 'newFolder' }
  | { readonly kind: 'photos' }
  | { readonly kind: 'newText' }

type Open = (kind: Part, entry: Entry) => void

/** The open folder, what changed last, or what has a star. */
export function FilesView () {
  const [opened, setOpened] = useState<Opened | undefined>()
  useFresh(refresh)
  useDragging()
  useFileToFocus()
  useAddress()
  useEffect(() => () => entries.pause(), [])
  const open: Open = (kind, entry) => setOpened({ kind, entry })
  const close = () => setOpened(undefined)
  const hasEntries = entries.entries.value.length > 0 && !isMissing()
  const isRenaming = ({ name }: Entry) => opened?.kind === 'renaming' && opened.entry.name === name
  const propsOf = (entry: Entry, isActive: boolean) => ({
    entry,
    isActive,
    isRenaming: isRenaming(entry),
    onOpen: () => open('preview', entry),
    onMenu: (opener: HTMLElement) => setOpened({ kind: 'menu', entry, opener }),
    onRenamed: () => closeDialog(close)
  })
  const grid = {
    label: texts.views.files,
    listing: entries,
    keyOf: ({ name }: Entry) => name,
    nameOf: ({ name }: Entry) => name,
    focus: filesFocus,
    selection: chosenEntries,
    onKey: (key: string, entry: Entry) => pressKey(key, entry, open),
    onMenu: (entry: Entry, opener: HTMLElement, at: Point) => setOpened({ kind: 'menu', entry, opener, at }),
    attributes: (entry: Entry) => isRenaming(entry) ? {} : draggable(entry)
  }
  return (
    <>
      <Toolbar onNew={kind => setOpened({ kind })} />
      {isMissing() ? <MissingFolder /> : <ListState listing={entries}><NoEntries /></ListState>}
      <ChosenEntries />
      {hasEntries && layout.value === 'list' && (
        <RowGrid
          {...grid} class='files' header={<EntryHeader />}
          cells={(entry, isActive) => <EntryCells {...propsOf(entry, isActive)} />}
        />
      )}
      {hasEntries && layout.value === 'tiles' &&
        <TileGrid {...grid} tile={(entry, isActive) => <EntryTile {...propsOf(entry, isActive)} />} />}
      {listed.value === 'files' && openFolder.value === '' && <FirstSteps />}
      {opened?.kind === 'menu' &&
        <EntryMenu key={`${opened.entry.id} ${JSON.stringify(opened.at)}`} {...opened} open={open} onClose={close} />}
      {detailed.value !== undefined && <DetailsPanel />}
      {opened !== undefined && <OpenedDialog opened={opened} open={open} onClose={() => closeDialog(close)} />}
    </>
  )
}

interface EntryMenuProps { entry: Entry, opener: HTMLElement, at?: Point, open: Open, onClose: () => void }

/** The menu of an entry. At the pointer, a chosen entry has that of all that are chosen. */
function EntryMenu ({ entry, opener, at, open, onClose }: EntryMenuProps) {
  const { entries: { value: chosen }, isGrowing } = chosenEntries
  const isOfAll = at !== undefined && chosen.length > 1 && chosenEntries.has(entry) && !isGrowing.value
  const [name, items] = isOfAll ? [countOf(chosen), chosenActs()] : [lastOf(entry.name), itemsOf(entry, open)]
  return <Menu label={texts.files.menuOf(name)} opener={opener} at={at} items={items} onClose={onClose} />
}

interface OpenedDialogProps { opened: Opened, open: Open, onClose: () => void }

function OpenedDialog ({ opened, open, onClose }: OpenedDialogProps) {
  if (opened.kind === 'newFolder') return <NewFolder action={createFolder} onClose={onClose} />
  if (opened.kind === 'photos') return <PhotoDialog onClose={onClose} />
  if (opened.kind === 'newText') return <NewText onCreated={file => open('editor', file)} onClose={onClose} />
  const { kind, entry } = opened
  if (kind === 'moving') {
    return <FolderDialog act='move' entries={[entry]} action={folder => moveEntry(entry, folder)} onClose={onClose} />
  }
  if (kind === 'link') return <LinkDialog name={entry.name} kind='download' onClose={onClose} />
  if (kind === 'request') return <LinkDialog name={entry.name} kind='upload' onClose={onClose} />
  if (kind === 'removal') return <RemovalQuestion entry={entry} onClose={onClose} />
  if (kind === 'copying') {
    const action = async (folder: string) => { void copyAll([entry], folder) }
    return <FolderDialog act='copy' entries={[entry]} action={action} onClose={onClose} />
  }
  if (isFolder(entry)) return null
  if (kind === 'versions') return <Versions name={entry.name} onClose={onClose} />
  if (kind !== 'preview' && kind !== 'editor') return null
  return (
    <Preview
      file={entry} isEdited={kind === 'editor'} onMove={file => open('preview', file)}
      onVersions={() => open('versions', entry)}
      onRemove={() => open('removal', entry)} onClose={onClose}
    />
  )
}

function closeDialog (close: () => void): void {
  close()
  if (entries.entries.value.length > 0) filesFocus.focus()
}

/** Focuses the file that `showInFolder` was called for, when its folder is listed: until then, the search is. */
function useFileToFocus (): void {
  useEffect(() => {
    const name = fileToFocus.value
    const isListed = entries.entries.value.some(entry => entry.name === name)
    if (name === undefined || isScattered.value || !isListed) return
    fileToFocus.value = undefined
    filesFocus.focus({ key: name, column: 0 })
  }, [entries.entries.value])
}

/** Follows Back, Forward and links to another search of the open folder. */
function useAddress (): void {
  useEffect(() => {
    addEventListener('hashchange', followAddress)
    return () => removeEventListener('hashchange', followAddress)
  }, [])
}

/** Whether the server has no folder at the address of the page. */
function isMissing (): boolean {
  return openFolder.value !== '' && statusOf(entries.error.value) === 404
}

function refresh (): void {
  showFolder()
  refreshLinks()
}

function itemsOf (entry: Entry, open: Open): MenuItem[] {
  const move = { label: texts.folders.move, action: () => open('moving', entry) }
  const rename = { label: texts.files.rename, action: () => open('renaming', entry) }
  const copy = { label: texts.files.copy, action: () => open('copying', entry) }
  const star = { label: starLabel([entry]), action: () => starEntry(entry) }
  const details = { label: texts.details.show, action: () => showDetails(entry) }
  const remove = { label: texts.files.remove, isDanger: true, action: () => { void removeEntry(entry, open) } }
  const show = isScattered.peek() ? [{ label: texts.files.showInFolder, action: () => showInFolder(entry) }] : []
  const link = hasLinks ? [{ label: texts.links.of, action: () => open('link', entry) }] : []
  const request = hasLinks ? [{ label: texts.links.request, action: () => open('request', entry) }] : []
  if (isFolder(entry)) {
    const openEntry = { label: texts.files.open, action: () => { location.hash = addressOf(entry.name) } }
    const save = () => { void runInRow(entry, ({ name }) => downloadZip({ folder: name })) }
    const zip = { label: texts.files.download, action: save }
    return [openEntry, ...show, zip, ...link, ...request, star, rename, move, copy, details, remove]
  }
  return [
    { label: texts.files.open, action: () => open('preview', entry) },
    ...show,
    { label: texts.files.download, action: () => { void runInRow(entry, download) } },
    ...link,
    star,
    rename,
    move,
    copy,
    { label: texts.files.versions, action: () => open('versions', entry) },
    details,
    remove
  ]
}

/** Returns whether the key was used. */
function pressKey (key: string, entry: Entry, open: Open): boolean {
  if (key === 'F2') open('renaming', entry)
  else if (key === 'Delete' && !chosenEntries.isEmpty.peek()) removeChosen()
  else if (key === 'Delete') void removeEntry(entry, open)
  else if (key === '*' && !chosenEntries.isEmpty.peek()) starChosen()
  else if (key === '*') starEntry(entry)
  else return false
  return true
}

function starEntry (entry: Entry): void {
  void runInRow(entry, toggleStar)
}

/** Deletes a file or an empty folder. Asks before it deletes another folder, or a file for good. */
async function removeEntry (entry: Entry, open: Open): Promise<void> {
  await runInRow(entry, async () => {
    if (!isFolder(entry) && hasTrash) await removeFile(entry)
    else if (!isFolder(entry) || !await removeEmpty(entry)) open('removal', entry)
  })
}
