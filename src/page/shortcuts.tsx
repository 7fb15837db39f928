import { signal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { ShortcutsDialog } from './later.tsx'
import { isBusy, listen } from './listen.ts'
import { areOn } from './shortcut-setting.ts'

/** Whether the dialog is open. */
const isOpen = signal(false)

export function showShortcuts (): void {
  isOpen.value = true
}

/** The shortcuts that work anywhere on the page, and the dialog that lists all. */
export function Shortcuts () {
  useEffect(() => listen({ keydown: press }), [])
  return isOpen.value ? <ShortcutsDialog onClose={() => { isOpen.value = false }} /> : null
}

function press (event: KeyboardEvent): void {
  const { key, target, ctrlKey, metaKey, altKey, repeat, defaultPrevented } = event
  if (!areOn.peek() || defaultPrevented || repeat || ctrlKey || metaKey || altKey || isBusy(target)) return
  if (key === '?') showShortcuts()
  else if (key !== '/' || !focusSearch()) return
  event.preventDefault()
}

/** Focuses the search of the view, if it has one. Returns whether it has. */
function focusSearch (): boolean {
  const field = document.querySelector<HTMLInputElement>('[role="search"] input')
  field?.focus()
  field?.select()
  return field !== null
}
