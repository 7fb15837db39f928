import { FolderDialog, LinkDialog, Preview, RemovalQuestion, Versions } from '../later.tsx'
import { lastOf } from '../paths.ts'
import { hasLinks, hasTrash } from '../settings.ts'
import { texts } from '../texts.ts'
import { addressOf, view } from '../view.ts'
import { chosenActs, removeChosen, starChosen, starLabel } from './chosen-entries.tsx'
import { chosenEntries } from './chosen.ts'
import { showDetails } from './detailed.ts'
import { download, downloadZip } from './downloads.ts'
import { isFolder, runInRow, showInFolder, type Entry } from './entries.ts'
import { removeFile } from './files.ts'
import { moveEntry, removeEmpty } from './folders.ts'
import { isScattered } from './list-choice.ts'
import { copyAll } from './many-files.ts'
import { countOf } from './many.ts'
import { Menu, type MenuItem } from './menu.tsx'
import type { EntryDialogProps, EntryMenuProps, Open } from './opened.ts'
import { toggleStar } from './stars.ts'

/** The menu of an entry. At the pointer, a chosen entry has that of all that are chosen. */
export function EntryMenu ({ entry, opener, at, open, onClose }: EntryMenuProps) {
  const { entries: { value: chosen }, isGrowing } = chosenEntries
  const isOfAll = at !== undefined && chosen.length > 1 && chosenEntries.has(entry) && !isGrowing.value
  const [name, items] = isOfAll ? [countOf(chosen), chosenActs()] : [lastOf(entry.name), itemsOf(entry, open)]
  return <Menu label={texts.files.menuOf(name)} opener={opener} at={at} items={items} onClose={onClose} />
}

/** What the menu opened. The list itself shows the form for a new name. */
export function EntryDialog ({ kind, entry, open, onClose }: EntryDialogProps) {
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

function itemsOf (entry: Entry, open: Open): MenuItem[] {
  const move = { label: texts.folders.move, action: () => open('moving', entry) }
  const rename = { label: texts.files.rename, action: () => open('renaming', entry) }
  const copy = { label: texts.files.copy, action: () => open('copying', entry) }
  const star = { label: starLabel([entry]), action: () => starEntry(entry) }
  const details = { label: texts.details.show, action: () => showDetails(entry) }
  const remove = { label: texts.files.remove, isDanger: true, action: () => { void removeEntry(entry, open) } }
  const isElsewhere = isScattered.peek() || view.peek() === 'timeline'
  const show = isElsewhere ? [{ label: texts.files.showInFolder, action: () => showInFolder(entry) }] : []
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
export function pressKey (key: string, entry: Entry, open: Open): boolean {
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
