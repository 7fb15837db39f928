import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { Dialog } from './dialog.tsx'
import { folder } from './folder.ts'
import { listen } from './listen.ts'
import { readText, writeText } from './stored-texts.ts'
import { texts } from './texts.ts'

/** The storage key of {@link areOn}. It contains the path, because several servers can share an origin. */
const KEY = `shortcuts ${folder.pathname}`

const OFF = 'off'

/** What uses the keys itself. */
const KEY_USERS = 'input:not([type=checkbox]), textarea, select, [contenteditable], [role="menu"]'

/** Whether the dialog is open. */
const isOpen = signal(false)

/** Whether `/` and `?` are shortcuts. Speech input can type them by mistake (WCAG 2.2, 2.1.4), so they can be off. */
const areOn = signal(readText(KEY) !== OFF)

export function showShortcuts (): void {
  isOpen.value = true
}

/** The shortcuts that work anywhere on the page, and the dialog that lists all. */
export function Shortcuts () {
  useEffect(() => listen({ keydown: press }), [])
  return isOpen.value ? <ShortcutsDialog /> : null
}

function ShortcutsDialog () {
  const { title, groups, use, useHint } = texts.shortcuts
  return (
    <Dialog title={title} class='shortcuts' onClose={() => { isOpen.value = false }}>
      {groups.map(({ name, keys }) => (
        <section key={name}>
          <h3>{name}</h3>
          <dl>
            {keys.map(([combination, meaning]) => (
              <div key={meaning}><dt><Keys combination={combination} /></dt><dd>{meaning}</dd></div>
            ))}
          </dl>
        </section>
      ))}
      <label class='choice'>
        <input type='checkbox' checked={areOn.value} onChange={() => useKeys(!areOn.peek())} />{use}
      </label>
      <p class='muted'>{useHint}</p>
    </Dialog>
  )
}

/** Keys that are pressed together are joined by `+`. Others of the same meaning come after a space. */
function Keys ({ combination }: { combination: string }) {
  return <>{combination.split(' ').map(keys => <kbd key={keys}>{keys}</kbd>)}</>
}

function press (event: KeyboardEvent): void {
  const { key, target, ctrlKey, metaKey, altKey, repeat, defaultPrevented } = event
  if (!areOn.peek() || defaultPrevented || repeat || ctrlKey || metaKey || altKey || isBusy(target)) return
  if (key === '?') showShortcuts()
  else if (key !== '/' || !focusSearch()) return
  event.preventDefault()
}

/** Whether keys belong to what has the focus: a field, a dialog or a menu. */
export function isBusy (target: EventTarget | null): boolean {
  const isField = target instanceof Element && target.closest(KEY_USERS) !== null
  return isField || document.querySelector('dialog[open]') !== null
}

/** Focuses the search of the view, if it has one. Returns whether it has. */
function focusSearch (): boolean {
  const field = document.querySelector<HTMLInputElement>('[role="search"] input')
  field?.focus()
  field?.select()
  return field !== null
}

function useKeys (isOn: boolean): void {
  areOn.value = isOn
  writeText(KEY, isOn ? undefined : OFF)
}
