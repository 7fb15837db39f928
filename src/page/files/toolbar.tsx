import { useId } from 'preact/hooks'
import { Icon } from '../icon.tsx'
import { texts } from '../texts.ts'
import { AddFiles } from '../uploads/add-files.tsx'
import { files, isByName, order, prefix, search, sortBy, type Order } from './files.ts'

const orders: readonly Order[] = ['name', '-name', 'newest', 'oldest', 'largest', 'smallest']

/** Search, order, and the button to add files. */
export function Toolbar () {
  const id = useId()
  const isSearch = prefix.value !== ''
  return (
    <div class='toolbar'>
      <h2>{texts.views.files}</h2>
      <AddFiles />
      <div class='search' role='search'>
        <Icon name='search' />
        <input
          type='search' value={prefix.value} onInput={event => search(event.currentTarget.value)}
          aria-label={texts.files.search} placeholder={texts.files.search} aria-describedby={id}
          dir='auto' autocomplete='off' spellcheck={false}
        />
      </div>
      <label class='order'>
        <span class='hidden'>{texts.files.order}</span>
        <select value={order.value} onChange={event => sortBy(event.currentTarget.value as Order)}>
          {orders.map(value => (
            <option key={value} value={value} disabled={isSearch && !isByName(value)}>
              {texts.files.orders[value]}
            </option>
          ))}
        </select>
      </label>
      <p class={isSearch ? 'found muted' : 'hidden'} id={id} role='status'>{isSearch && found()}</p>
    </div>
  )
}

function found (): string {
  if (files.error.value !== undefined) return texts.files.searchFailed
  return files.isLoading.value ? texts.loading : texts.files.found(files.entries.value.length, files.isComplete.value)
}
