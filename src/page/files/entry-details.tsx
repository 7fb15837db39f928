import type { StoredFile } from 'magicstore'
import { useEffect, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { Detail } from '../detail.tsx'
import { formatNumber, formatSize } from '../format.ts'
import { LinkDialog } from '../links/link-dialog.tsx'
import { LinkSummary } from '../links/link-row.tsx'
import { isOver, links } from '../links/links.ts'
import { MAX_PAGE_ENTRIES } from '../pages.ts'
import { parentOf } from '../paths.ts'
import { ProblemText } from '../problem.tsx'
import { request } from '../requests.ts'
import { hasLinks } from '../settings.ts'
import { texts } from '../later-texts.ts'
import { Time } from '../time.tsx'
import { useAction } from '../use-action.ts'
import { useLoaded } from '../use-loaded.ts'
import { isFolder, type Entry, type FolderEntry } from './entries.ts'
import { FileDetails } from './file-details.tsx'
import { Versions } from './versions.tsx'

const words = texts.details

/** What is known of a file or folder: dates, versions, links, size. */
export function EntryDetails ({ entry }: { entry: Entry }) {
  const { name } = entry
  return (
    <>
      <dl class='file-details'>
        <Detail label={words.folder}><bdi>{parentOf(name) || texts.views.files}</bdi></Detail>
      </dl>
      {isFolder(entry)
        ? <FolderDetails folder={entry} />
        : <KnownFile file={entry} />}
      {hasLinks && <Links name={name} />}
    </>
  )
}

function KnownFile ({ file }: { file: StoredFile }) {
  return (
    <>
      <FileDetails {...file} dates={[['created', file.createdAt], ['updated', file.updatedAt]]} />
      <VersionCount file={file} />
    </>
  )
}

function FolderDetails ({ folder: { name, createdAt } }: { folder: FolderEntry }) {
  const { value, error, reload } = useLoaded(signal => request(api =>
    api.GET('/api/folders/{name}/usage', { params: { path: { name } }, ...signal && { signal } })))
  const counting = useAction(reload)
  return (
    <>
      <dl class='file-details'>
        <Detail label={texts.files.details.created}><Time timestamp={createdAt} /></Detail>
        <Detail label={texts.files.details.size}>
          <span role='status'>
            {value !== undefined ? formatSize(value.bytes) : error === undefined && words.counting}
          </span>
        </Detail>
        {value !== undefined && <Detail label={words.contents}>{contentsOf(value)}</Detail>}
      </dl>
      <ProblemText error={error} />
      <div class='actions'><ActionButton action={counting}>{words.countAgain}</ActionButton></div>
    </>
  )
}

function contentsOf ({ files, folders }: { files: number, folders: number }): string {
  const { usage } = texts.files
  return `${usage.files(files)}, ${usage.folders(folders)}`
}

function VersionCount ({ file: { name, sha256 } }: { file: StoredFile }) {
  const [isOpen, setOpen] = useState(false)
  const [count, setCount] = useState<number>()
  const { run, error } = useAction(async () => {
    const params = { path: { name }, query: { limit: MAX_PAGE_ENTRIES } }
    const { versions } = await request(api => api.GET('/api/files/{name}/versions', { params }))
    setCount(versions.length)
  })
  // Not by a key of the content: the focus would be lost with the button.
  useEffect(() => { if (!isOpen) void run() }, [sha256, isOpen])
  return (
    <section>
      <h3>{words.versions}</h3>
      <p class='muted'>{count === undefined ? texts.loading : count === 0 ? words.none : formatNumber(count)}</p>
      <ProblemText error={error} />
      <div class='actions'>
        <button type='button' onClick={() => setOpen(true)}>{words.showVersions}</button>
      </div>
      {isOpen && <Versions name={name} onClose={() => setOpen(false)} />}
    </section>
  )
}

/** The links to a file or folder that can be used. */
function Links ({ name }: { name: string }) {
  const [isOpen, setOpen] = useState(false)
  const open = links.value?.filter(link => link.name === name && !isOver(link))
  return (
    <section>
      <h3>{words.links}</h3>
      {open === undefined && <p class='muted'>{texts.loading}</p>}
      {open?.length === 0 && <p class='muted'>{words.none}</p>}
      <ul>{open?.map(link => <li key={link.id}><LinkSummary link={link} /></li>)}</ul>
      <div class='actions'><button type='button' onClick={() => setOpen(true)}>{texts.links.of}</button></div>
      {isOpen && <LinkDialog name={name} kind='download' onClose={() => setOpen(false)} />}
    </section>
  )
}
