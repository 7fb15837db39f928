import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { Icon } from '../icon.tsx'
import { ancestorsOf, lastOf, parentOf } from '../paths.ts'
import { ProblemText, Retry } from '../problem.tsx'
import { loadAll } from '../requests.ts'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { useLoaded } from '../use-loaded.ts'
import { FolderName } from './breadcrumbs.tsx'
import type { Entry } from './entries.ts'
import { NewFolder } from './entry-dialogs.tsx'
import { canCopy, canMove, makeFolder } from './folders.ts'
import { countOf } from './many.ts'

interface FolderDialogProps {
  act: 'move' | 'copy'
  /** What is moved or copied. */
  entries: readonly Entry[]
  action: (folder: string) => Promise<void>
  onClose: () => void
}

const rules = { move: canMove, copy: canCopy }

/** Chooses the folder to which entries are moved or copied. */
export function FolderDialog ({ act, entries, action, onClose }: FolderDialogProps) {
  const [first] = entries
  const [folder, setFolder] = useState(parentOf(first?.name ?? ''))
  const [isNaming, setNaming] = useState(false)
  const { run, isRunning, error } = useAction(async () => {
    await action(folder)
    onClose()
  })
  const create = async (name: string) => setFolder((await makeFolder(folder, name)).name)
  const { title, submit } = texts.folders.acts[act]
  const isPossible = entries.some(entry => rules[act](entry, folder))
  return (
    <Dialog title={title(titleOf(entries))} class='move' onClose={onClose}>
      <Folders key={folder} folder={folder} chosen={entries.map(({ name }) => name)} onOpen={setFolder} />
      <ProblemText error={error} />
      <div class='actions end'>
        <button type='button' class='first' onClick={() => setNaming(true)}>
          <Icon name='newFolder' />{texts.folders.create}
        </button>
        <button type='button' onClick={onClose}>{texts.cancel}</button>
        <button
          type='button' class='primary' aria-disabled={isRunning || !isPossible}
          onClick={() => { if (isPossible) void run() }}
        >
          {submit}
        </button>
      </div>
      {isNaming && <NewFolder action={create} onClose={() => setNaming(false)} />}
    </Dialog>
  )
}

function titleOf (entries: readonly Entry[]): string {
  const [first] = entries
  return entries.length > 1 || first === undefined ? countOf(entries) : lastOf(first.name)
}

interface FoldersProps {
  folder: string
  /** Nothing can be moved or copied into itself. */
  chosen: readonly string[]
  onOpen: (folder: string) => void
}

/** The folders in a folder, and those above it. */
function Folders ({ folder, chosen, onOpen }: FoldersProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  const { value, error, reload } = useLoaded(() => foldersIn(folder))
  const folders = value?.filter(name => !chosen.includes(name))
  // The focused button has been removed.
  useLayoutEffect(() => heading.current?.focus(), [])
  return (
    <>
      <div class='breadcrumbs'>
        {folder !== '' && (
          <ol>
            {['', ...ancestorsOf(folder)].map(path => (
              <li key={path}>
                <button type='button' class='link' onClick={() => onOpen(path)}><FolderName path={path} /></button>
              </li>
            ))}
          </ol>
        )}
        <h3 ref={heading} tabIndex={-1} data-autofocus><FolderName path={folder} /></h3>
      </div>
      <ul class='folders'>
        {folders?.map(path => (
          <li key={path}>
            <button type='button' class='quiet' onClick={() => onOpen(path)}>
              <Icon name='files' /><FolderName path={path} />
            </button>
          </li>
        ))}
      </ul>
      {folders?.length === 0 && <p class='muted'>{texts.folders.noneInside}</p>}
      {value === undefined && error === undefined && <p class='muted'>{texts.loading}</p>}
      {error !== undefined && <div><Retry error={error} action={() => { void reload() }} /></div>}
    </>
  )
}

async function foldersIn (folder: string): Promise<string[]> {
  const all = await loadAll('folders', (api, page) =>
    api.GET('/api/folders', { params: { query: { folder, ...page } } }))
  return all.map(({ name }) => name)
}
