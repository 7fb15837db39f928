import { useSignalEffect } from '@preact/signals'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { statusOf } from '../errors.ts'
import { RowGrid } from '../files/row-grid.tsx'
import { FileName } from '../file-name.tsx'
import { focusHeading } from '../focus.ts'
import { frameTexts } from '../frame-texts.ts'
import { ancestorsOf, lastOf } from '../paths.ts'
import { DownloadFailure, ZipLink } from './download-link.tsx'
import { EntryCells, EntryHeader } from './entry-cells.tsx'
import { Facts } from './facts.tsx'
import { entries, entriesFocus, showFolder, type FileEntry } from './folder-entries.ts'
import { PreviewDialog } from './later.tsx'
import { folderAddress, openFolder } from './open-folder.ts'
import { Refusal } from './refusal.tsx'
import { texts } from './texts.ts'
import { followRefusal, type SharedLink } from './visit.ts'

/** A linked folder: what is in it, with the way in and out of its folders. */
export function SharedFolder ({ link }: { link: SharedLink }) {
  const folder = openFolder.value
  const [shown, setShown] = useState<FileEntry>()
  const close = () => {
    setShown(undefined)
    entriesFocus.focus()
  }
  // A layout effect, so that the entries of another folder are never seen.
  useLayoutEffect(showFolder, [folder])
  useSignalEffect(() => followRefusal(entries.error.value))
  useFolderFocus(folder)
  return (
    <>
      <section class='shared-top'>
        {folder !== '' && <Breadcrumbs top={link.name} folder={folder} />}
        <h1 dir='auto'><FileName name={folder === '' ? link.name : lastOf(folder)} /></h1>
        <Facts link={link} />
        {entries.entries.value.length > 0 && (
          <div class='actions'><ZipLink folder={folder} title={folder === '' ? link.name : lastOf(folder)} /></div>
        )}
        <DownloadFailure />
      </section>
      <ListState />
      {entries.entries.value.length > 0 && (
        <RowGrid
          class='files shared-files' label={link.name} listing={entries} keyOf={({ name }) => name}
          nameOf={({ name }) => name} focus={entriesFocus} header={<EntryHeader />}
          cells={(entry, isActive) => <EntryCells entry={entry} isActive={isActive} onShow={setShown} />}
        />
      )}
      {shown !== undefined && <PreviewDialog file={shown} onMove={setShown} onClose={close} />}
    </>
  )
}

/** The folders above the open one. */
function Breadcrumbs ({ top, folder }: { top: string, folder: string }) {
  return (
    <nav class='breadcrumbs' aria-label={texts.path}>
      <ol>
        {['', ...ancestorsOf(folder)].map(path => (
          <li key={path}><a href={folderAddress(path)}><FileName name={path === '' ? top : lastOf(path)} /></a></li>
        ))}
      </ol>
    </nav>
  )
}

/** Why the list could not be loaded, or that it is loading or empty. */
function ListState () {
  const error = entries.error.value
  if (statusOf(error) === 404) {
    return (
      <div class='list-state empty' role='status'>
        <h2>{texts.missingFolder}</h2>
        <p class='muted'>{texts.missingFolderHint}</p>
        <p><a href={folderAddress('')}>{texts.toTop}</a></p>
      </div>
    )
  }
  if (error !== undefined) {
    return (
      <div class='list-state'>
        <Refusal error={error} />
        <button type='button' onClick={() => entries.refresh()}>{frameTexts.tryAgain}</button>
      </div>
    )
  }
  if (entries.entries.value.length > 0) return null
  if (!entries.isComplete.value) return <p class='list-state muted' role='status'>{frameTexts.loading}</p>
  return <div class='list-state empty'><h2>{texts.emptyFolder}</h2></div>
}

/** After a change of folder, the heading gets the focus, because the focused element is gone. */
function useFolderFocus (folder: string): void {
  const isLaterOne = useRef(false)
  useEffect(() => {
    if (isLaterOne.current) focusHeading('h1')
    isLaterOne.current = true
  }, [folder])
}
