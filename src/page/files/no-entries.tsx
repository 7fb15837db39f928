import { FileName } from '../file-name.tsx'
import { texts } from '../later-texts.ts'
import { parentOf } from '../paths.ts'
import { isArriving } from '../uploads/upload-list.ts'
import { addressOf, openFolder } from '../view.ts'
import { FolderName } from './breadcrumbs.tsx'
import { isIncomplete, sortBy } from './entries.ts'
import { isSearch, listed, scope, searchText } from './list-choice.ts'
import { EmptyList } from './list-state.tsx'

/** Shown in place of the list if it has no entries. */
export function NoEntries () {
  if (listed.value !== 'files') return <EmptyList {...texts.files.nothingIn[listed.value]} />
  if (isSearch.value) return <NothingFound />
  if (isArriving.value) return null
  const title = openFolder.value === '' ? texts.files.empty : texts.folders.empty
  return (
    <EmptyList title={title} hint={texts.files.emptyHint}>
      <p><a href='#account'>{texts.files.emptyWays}</a></p>
    </EmptyList>
  )
}

function NothingFound () {
  if (isIncomplete.value) return <NothingYet />
  const isAll = scope.value === 'everywhere' || openFolder.value === ''
  const text = isAll ? texts.files.nothingFoundAnywhere : texts.files.nothingFound
  return <p class='list-state muted'>{text} <FileName name={searchText.value} /></p>
}

function NothingYet () {
  return (
    <div class='list-state muted'>
      <p>{texts.files.nothingFoundYet} <FileName name={searchText.value} /></p>
      <button type='button' onClick={() => sortBy('name')}>{texts.files.searchAll}</button>
    </div>
  )
}

/** Shown if the server has no folder at the address of the page. */
export function MissingFolder () {
  const parent = parentOf(openFolder.value)
  return (
    <EmptyList title={texts.folders.missing} hint={texts.folders.missingHint} role='status'>
      <p><a href={addressOf(parent)}>{texts.folders.goUp} <FolderName path={parent} /></a></p>
    </EmptyList>
  )
}
