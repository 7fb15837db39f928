import { FileName } from '../file-name.tsx'
import { ancestorsOf, lastOf } from '../paths.ts'
import { texts } from '../texts.ts'
import { addressOf, openFolder } from '../view.ts'
import { dropTarget } from './dragging.ts'

/** The folders above the open one. Entries can be dropped on them. */
export function Breadcrumbs () {
  const folder = openFolder.value
  if (folder === '') return null
  return (
    <nav class='breadcrumbs' aria-label={texts.folders.path}>
      <ol>
        {['', ...ancestorsOf(folder)].map(path => (
          <li key={path}>
            <a href={addressOf(path)} {...dropTarget(path)}><FolderName path={path} /></a>
          </li>
        ))}
      </ol>
    </nav>
  )
}

/** The last segment of a folder's path. */
export function FolderName ({ path }: { path: string }) {
  return path === '' ? <>{texts.views.files}</> : <FileName name={lastOf(path)} />
}
