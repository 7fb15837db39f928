import { useId, useState } from 'preact/hooks'
import { Icon } from '../icon.tsx'
import { texts } from '../texts.ts'
import { AddFiles, AddFolder } from '../uploads/add-files.tsx'
import { openFolder } from '../view.ts'
import { Breadcrumbs, FolderName } from './breadcrumbs.tsx'
import { entries, isIncomplete, search, searchIn, sortBy } from './entries.ts'
import { LayoutChoice } from './layout-choice.tsx'
import { layout } from './layout.ts'
import { Letters } from './letters.tsx'
import { isSearch, listed, order, scope, searchText, type Order, type Scope } from './list-choice.ts'
import { Menu } from './menu.tsx'

const orders: readonly Order[] = ['natural', '-natural', '-changed', 'changed', 'largest', 'smallest']

const scopes: readonly Scope[] = ['folder', 'everywhere']

/** The longest text that the API searches for. */
const MAX_SEARCH_LENGTH = 200

interface ToolbarProps { onNew: (kind: 'newFolder' | 'newText' | 'photos') => void }

/** The open folder, search, order, and the buttons to add files and folders. */
export function Toolbar ({ onNew }: ToolbarProps) {
  const id = useId()
  if (listed.value !== 'files') {
    return <div class='toolbar'><h2>{texts.views[listed.value]}</h2><LayoutChoice /></div>
  }
  return (
    <div class={`toolbar as-${layout.value}`}>
      <Breadcrumbs />
      <h2 dir='auto'><FolderName path={openFolder.value} /></h2>
      <div class='adding'>
        <NewMenu onNew={onNew} />
        <button
          type='button' class='photos' onClick={() => onNew('photos')} aria-label={texts.uploads.photos}
          title={texts.uploads.photos}
        >
          <Icon name='image' /><span class='label'>{texts.uploads.photos}</span>
        </button>
        <AddFolder folder={openFolder.value} />
        <AddFiles folder={openFolder.value} />
      </div>
      <div class='search' role='search'>
        <Icon name='search' />
        <input
          type='search' value={searchText.value} maxLength={MAX_SEARCH_LENGTH}
          onInput={event => search(event.currentTarget.value)} aria-label={texts.files.search}
          placeholder={texts.files.search} aria-describedby={id} dir='auto' autocomplete='off' spellcheck={false}
        />
      </div>
      {isSearch.value && openFolder.value !== '' && (
        <div class='scope' role='group' aria-label={texts.files.scope}>
          {scopes.map(value => (
            <button key={value} type='button' aria-pressed={scope.value === value} onClick={() => searchIn(value)}>
              {texts.files.scopes[value]}
            </button>
          ))}
        </div>
      )}
      <Letters />
      <label class='order'>
        <span class='hidden'>{texts.files.order}</span>
        <Icon name='sort' />
        <select value={order.value} onChange={event => sortBy(event.currentTarget.value as Order)}>
          {(order.value === 'name' ? [...orders, order.value] : orders).map(value => (
            <option key={value} value={value}>{texts.files.orders[value]}</option>
          ))}
        </select>
      </label>
      <LayoutChoice />
      <p class={isSearch.value ? 'found muted' : 'hidden'} id={id} role='status'>{isSearch.value && found()}</p>
    </div>
  )
}

/** A button with a menu of what can be made in the open folder. */
function NewMenu ({ onNew }: ToolbarProps) {
  const [opener, setOpener] = useState<HTMLElement | undefined>()
  const close = () => setOpener(undefined)
  const label = texts.files.new
  const items = [
    { label: texts.folders.create, action: () => onNew('newFolder') },
    { label: texts.files.newText, action: () => onNew('newText') }
  ]
  return (
    <>
      <button
        type='button' aria-haspopup='menu' aria-label={label} title={label}
        onClick={event => setOpener(event.currentTarget)}
      >
        <Icon name='plus' /><span class='label'>{label}</span>
      </button>
      {opener !== undefined && <Menu label={label} opener={opener} items={items} onClose={close} />}
    </>
  )
}

function found (): string {
  if (entries.error.value !== undefined) return texts.files.searchFailed
  if (entries.isLoading.value) return texts.loading
  const count = entries.entries.value.length
  return isIncomplete.value ? texts.files.foundPart(count) : texts.files.found(count, entries.isComplete.value)
}
