import { useEffect, useState } from 'preact/hooks'
import type { StoredFile } from 'magicstore'
import { ProblemText } from '../problem.tsx'
import { session } from '../session.ts'
import { texts } from '../texts.ts'
import { changes } from './changes.ts'
import { download } from './downloads.ts'
import { FileCells, FileHeader } from './file-cells.tsx'
import { actInRow, files, filesFocus, prefix, removeFile } from './files.ts'
import { Menu, type MenuItem } from './menu.tsx'
import { Preview } from './preview.tsx'
import { RowGrid } from './row-grid.tsx'
import { Toolbar } from './toolbar.tsx'
import { refreshUsage, usage, UsageBar } from './usage.tsx'
import { Versions } from './versions.tsx'

type Opened =
  | { readonly kind: 'preview' | 'versions' | 'renaming', readonly file: StoredFile }
  | { readonly kind: 'menu', readonly file: StoredFile, readonly opener: HTMLElement }

/** The files of the account. */
export function FilesView () {
  const [opened, setOpened] = useState<Opened | undefined>()
  useFreshList()
  const close = () => setOpened(undefined)
  const closeDialog = () => {
    close()
    if (files.entries.value.length > 0) filesFocus.focus()
  }
  const open = (kind: 'preview' | 'versions' | 'renaming', file: StoredFile) => setOpened({ kind, file })
  const itemsOf = (file: StoredFile): MenuItem[] => [
    { label: texts.files.open, act: () => open('preview', file) },
    { label: texts.files.download, act: () => { void actInRow(file, download) } },
    { label: texts.files.rename, act: () => open('renaming', file) },
    { label: texts.files.versions, act: () => open('versions', file) },
    { label: texts.files.remove, isDanger: true, act: () => { void actInRow(file, removeFile) } }
  ]
  function onKey (key: string, file: StoredFile): boolean {
    if (key === 'F2') open('renaming', file)
    else if (key === 'Delete') void actInRow(file, removeFile)
    return key === 'F2' || key === 'Delete'
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
      <ListState />
      {files.entries.value.length > 0 && (
        <RowGrid
          class='files' label={texts.views.files} listing={files} keyOf={({ name }) => name} focus={filesFocus} header={<FileHeader />}
          cells={cellsOf} onKey={onKey} {...prefix.value === '' && usage.value && { total: usage.value.files }}
        />
      )}
      {opened?.kind === 'menu' && (
        <Menu label={texts.files.menuOf(opened.file.name)} opener={opened.opener} items={itemsOf(opened.file)} onClose={close} />
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

/** What there is instead of rows, and why nothing more could be loaded. */
function ListState () {
  const { entries, isComplete, isLoading, error } = files
  if (error.value !== undefined) {
    return (
      <div class='list-state'>
        <ProblemText error={error.value} />
        <button type='button' onClick={() => files.refresh()}>{texts.tryAgain}</button>
      </div>
    )
  }
  if (entries.value.length > 0) return null
  if (!isComplete.value) return <p class='list-state muted' role='status'>{isLoading.value && texts.loading}</p>
  if (prefix.value !== '') return <p class='list-state muted'>{texts.files.nothingFound} <bdi>{prefix.value}</bdi></p>
  return <div class='list-state empty'><h3>{texts.files.empty}</h3><p class='muted'>{texts.files.emptyHint}</p></div>
}

/** Loads the list again when this page changed it, when the window is used again, and after a new sign-in. */
function useFreshList (): void {
  useEffect(() => {
    const refresh = () => {
      files.refresh()
      refreshUsage()
    }
    refresh()
    addEventListener('focus', refresh)
    return () => removeEventListener('focus', refresh)
  }, [changes.value, session.value.kind])
}
