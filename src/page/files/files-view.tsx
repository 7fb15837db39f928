import { useEffect, useState } from 'preact/hooks'
import { statusOf } from '../errors.ts'
import { DetailsPanel, FirstSteps, MissingFolder, NewFolder, NewText, NoEntries, PhotoDialog } from '../later.tsx'
import { refreshLinks } from '../links/links.ts'
import { texts } from '../texts.ts'
import { openFolder } from '../view.ts'
import { ChosenEntries } from './chosen-entries.tsx'
import { chosenEntries } from './chosen.ts'
import { detailed } from './detailed.ts'
import { draggable, useDragging } from './dragging.ts'
import { entries, filesFocus, followAddress, showFolder, fileToFocus, type Entry } from './entries.ts'
import { EntryDialog, EntryMenu, pressKey } from './entry-acts.tsx'
import { EntryCells, EntryHeader } from './entry-cells.tsx'
import { EntryTile } from './entry-tile.tsx'
import { createFolder } from './folders.ts'
import { layout } from './layout.ts'
import { isScattered, listed } from './list-choice.ts'
import { ListState } from './list-state.tsx'
import type { Point } from './menu.tsx'
import type { Open, OpenedMenu, Part } from './opened.ts'
import { RowGrid } from './row-grid.tsx'
import { TileGrid } from './tile-grid.tsx'
import { Toolbar } from './toolbar.tsx'
import { useFresh } from './use-fresh.ts'

type Opened =
  | { readonly kind: Part, readonly entry: Entry }
  | { readonly kind: 'menu' } & OpenedMenu
  | { readonly kind: 'newFolder' }
  | { readonly kind: 'photos' }
  | { readonly kind: 'newText' }

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

function OpenedDialog ({ opened, open, onClose }: { opened: Opened, open: Open, onClose: () => void }) {
  switch (opened.kind) {
    case 'menu': return null
    case 'newFolder': return <NewFolder action={createFolder} onClose={onClose} />
    case 'photos': return <PhotoDialog onClose={onClose} />
    case 'newText': return <NewText onCreated={file => open('editor', file)} onClose={onClose} />
    default: return <EntryDialog {...opened} open={open} onClose={onClose} />
  }
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
