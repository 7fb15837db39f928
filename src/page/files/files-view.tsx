import type { StoredFile } from 'magicstore'
import { useState } from 'preact/hooks'
import { FileName } from '../file-name.tsx'
import { texts } from '../texts.ts'
import { download } from './downloads.ts'
import { FileCells, FileHeader } from './file-cells.tsx'
import { runInRow, files, filesFocus, prefix, removeFile } from './files.ts'
import { ListState } from './list-state.tsx'
import { Menu, type MenuItem } from './menu.tsx'
import { Preview } from './preview.tsx'
import { RowGrid } from './row-grid.tsx'
import { Toolbar } from './toolbar.tsx'
import { refreshUsage, usage, UsageBar } from './usage.tsx'
import { useFresh } from './use-fresh.ts'
import { Versions } from './versions.tsx'

type Part = 'preview' | 'versions' | 'renaming'

type Opened =
  | { readonly kind: Part, readonly file: StoredFile }
  | { readonly kind: 'menu', readonly file: StoredFile, readonly opener: HTMLElement }

type Open = (kind: Part, file: StoredFile) => void

/** The files of the account. */
export function FilesView () {
  const [opened, setOpened] = useState<Opened | undefined>()
  useFresh(refresh)
  const open: Open = (kind, file) => setOpened({ kind, file })
  const close = () => setOpened(undefined)
  const closeDialog = () => {
    close()
    if (files.entries.value.length > 0) filesFocus.focus()
  }
  const cellsOf = (file: StoredFile, isActive: boolean) => (
    <FileCells
      file={file} isActive={isActive} isRenaming={opened?.kind === 'renaming' && opened.file.name === file.name}
      onOpen={() => open('preview', file)} onMenu={opener => setOpened({ kind: 'menu', file, opener })} onRenamed={closeDialog}
    />
  )
  return (
    <>
      <Toolbar />
      <UsageBar />
      <ListState listing={files}><NoFiles /></ListState>
      {files.entries.value.length > 0 && (
        <RowGrid
          class='files' label={texts.views.files} listing={files} keyOf={({ name }) => name} focus={filesFocus} header={<FileHeader />}
          cells={cellsOf} onKey={(key, file) => pressKey(key, file, open)}
          {...prefix.value === '' && usage.value && { total: usage.value.files }}
        />
      )}
      {opened?.kind === 'menu' && (
        <Menu
          label={texts.files.menuOf(opened.file.name)}
          opener={opened.opener}
          items={itemsOf(opened.file, open)}
          onClose={close}
        />
      )}
      {opened?.kind === 'preview' && (
        <Preview
          file={opened.file} onMove={file => open('preview', file)}
          onVersions={() => open('versions', opened.file)} onClose={closeDialog}
        />
      )}
      {opened?.kind === 'versions' && <Versions name={opened.file.name} onClose={closeDialog} />}
    </>
  )
}

function refresh (): void {
  files.refresh()
  refreshUsage()
}

function itemsOf (file: StoredFile, open: Open): MenuItem[] {
  return [
    { label: texts.files.open, action: () => open('preview', file) },
    { label: texts.files.download, action: () => { void runInRow(file, download) } },
    { label: texts.files.rename, action: () => open('renaming', file) },
    { label: texts.files.versions, action: () => open('versions', file) },
    { label: texts.files.remove, isDanger: true, action: () => { void runInRow(file, removeFile) } }
  ]
}

/** Returns whether the key has a meaning. */
function pressKey (key: string, file: StoredFile, open: Open): boolean {
  if (key === 'F2') open('renaming', file)
  else if (key === 'Delete') void runInRow(file, removeFile)
  else return false
  return true
}

function NoFiles () {
  if (prefix.value !== '') return <p class='list-state muted'>{texts.files.nothingFound} <FileName name={prefix.value} /></p>
  return <div class='list-state empty'><h3>{texts.files.empty}</h3><p class='muted'>{texts.files.emptyHint}</p></div>
}
