import { bodyOf, type StoredFile, type Version } from 'magicstore'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { Dialog } from '../dialog.tsx'
import { FileName } from '../file-name.tsx'
import { formatSize, formatTime, formatTimes } from '../format.ts'
import { notify } from '../notices.tsx'
import { ProblemText } from '../problem.tsx'
import { Question } from '../question.tsx'
import { request } from '../requests.ts'
import { call } from '../session.ts'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { filesChanged } from './changes.ts'
import { download, readBytes } from './downloads.ts'
import { placeEntry } from './entries.ts'
import { FileDetails } from './file-details.tsx'
import { notifyWithUndo } from './files.ts'
import { PreviewContent } from './preview-content.tsx'
import { PreviewFrame } from './preview-frame.tsx'

interface Contents { readonly file: StoredFile, readonly versions: readonly Version[] }

/** The older versions of a file. */
export function Versions ({ name, onClose }: { name: string, onClose: () => void }) {
  const list = useRef<HTMLUListElement>(null)
  const [contents, setContents] = useState<Contents | undefined>()
  const [removed, setRemoved] = useState('')
  const { run, error } = useAction(async () => setContents(await contentsOf(name)))
  useEffect(() => { void run() }, [])
  // The focused button has been removed with its row.
  useLayoutEffect(() => {
    if (removed !== '') list.current?.closest('dialog')?.querySelector('button')?.focus()
  }, [removed])
  const times = formatTimes(contents?.versions.map(({ createdAt }) => createdAt) ?? [])
  const remove = (version: Version, time: string) => {
    setContents(contents && { ...contents, versions: contents.versions.filter(({ id }) => id !== version.id) })
    setRemoved(texts.files.versionDeleted(time))
  }
  return (
    <Dialog title={texts.files.versionsOf(name)} class='versions' onClose={onClose}>
      <ProblemText error={error} />
      {contents === undefined && error === undefined && <p class='muted'>{texts.loading}</p>}
      {contents && <Current {...contents.file} />}
      {contents?.versions.length === 0 && <p>{texts.files.noVersions}</p>}
      <ul ref={list}>
        {contents?.versions.map((version, index) => (
          <VersionRow
            key={version.id}
            file={contents.file}
            version={version}
            time={times[index] ?? ''}
            onRestored={onClose}
            onRemoved={() => remove(version, times[index] ?? '')}
          />
        ))}
      </ul>
      <p class='hidden' role='status'>{removed}</p>
    </Dialog>
  )
}

function Current ({ size, updatedAt }: StoredFile) {
  return <p class='muted'>{texts.files.current(formatSize(size), formatTime(updatedAt))}</p>
}

/** The file, which can be newer than in the list, and all its versions: the server keeps only a few. */
async function contentsOf (name: string): Promise<Contents> {
  return call(async store => {
    const file = bodyOf(await store.api.GET('/api/files/{name}', { params: { path: { name } } }))
    const versions: Version[] = []
    for await (const version of store.versions(name)) versions.push(version)
    return { file, versions }
  })
}

interface VersionRowProps {
  file: StoredFile
  version: Version
  /** When it was stored, in words that tell it from the others. */
  time: string
  onRestored: () => void
  onRemoved: () => void
}

function VersionRow ({ file, version, time, onRestored, onRemoved }: VersionRowProps) {
  const [opened, setOpened] = useState<'view' | 'question' | undefined>()
  const bytes = { name: file.name, size: version.size, version: version.id }
  const downloading = useAction(() => download(bytes))
  const restoring = useAction(async () => {
    await restoreVersion(file, version)
    onRestored()
  })
  const close = () => setOpened(undefined)
  return (
    <li>
      <p>
        <time dateTime={version.createdAt}>{time}</time>
        {' '}
        <span class='muted'>{formatSize(version.size)} · {texts.files.keptUntil(formatTime(version.expiresAt))}</span>
      </p>
      <div class='actions' role='group' aria-label={texts.files.versionOf(time)}>
        <button type='button' onClick={() => setOpened('view')}>{texts.files.view}</button>
        <ActionButton action={downloading}>{texts.files.download}</ActionButton>
        <ActionButton action={restoring}>{texts.files.restore}</ActionButton>
        <button type='button' class='danger' onClick={() => setOpened('question')}>{texts.files.deleteForGood}</button>
      </div>
      <ProblemText error={downloading.error ?? restoring.error} />
      {opened === 'view' && (
        <PreviewFrame
          file={{ ...version, ...bytes }} title={texts.files.versionOf(time)} onClose={close} closesOutside
          words={{ ...texts.files, details: texts.viewer.details }} read={file => readBytes(file)} acts={null}
          content={() => <PreviewContent content={{ ...bytes, type: version.type }} />}
          details={(
            <FileDetails {...version} dates={[['stored', version.createdAt], ['replaced', version.replacedAt]]} />
          )}
        />
      )}
      {opened === 'question' && <RemovalQuestion {...{ file, version, time, onRemoved }} onClose={close} />}
    </li>
  )
}

type RemovalQuestionProps = Omit<VersionRowProps, 'onRestored'> & { onClose: () => void }

function RemovalQuestion ({ file: { name }, version, time, onClose, onRemoved }: RemovalQuestionProps) {
  const remove = async () => {
    const params = { path: { name, id: version.id } }
    await request(api => api.DELETE('/api/files/{name}/versions/{id}', { params }))
    filesChanged()
    onRemoved()
  }
  return (
    <Question title={texts.files.deleteVersion} label={texts.files.deleteForGood} action={remove} onClose={onClose}>
      <p>{texts.files.deleteVersionOf(time)} <FileName name={name} /></p>
    </Question>
  )
}

/**
 * Restores a version and offers to undo that. The replaced content becomes a version too; undo restores it. If the file
 * has changed since the dialog was opened, `ifMatch` makes the server refuse.
 */
async function restoreVersion (file: StoredFile, version: Version): Promise<void> {
  const { restored, text } = await restore(file, version)
  const { versions } = await contentsOf(file.name).catch(() => ({ versions: [] }))
  const before = versions.find(({ sha256 }) => sha256 === file.sha256)
  if (before === undefined) return notify({ text })
  notifyWithUndo(text, async () => {
    const undone = await restore(restored, before)
    notify({ text: undone.text })
  })
}

async function restore ({ name, sha256 }: StoredFile, { id, createdAt }: Version) {
  const restored = await call(store => store.restoreVersion(name, id, { ifMatch: `"${sha256}"` }))
  placeEntry(restored)
  return { restored, text: texts.files.versionRestored(name, formatTime(createdAt)) }
}
