import { signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { focusMain } from './focus.ts'
import { IconButton } from './icon-button.tsx'
import { isBusy, listen } from './listen.ts'
import { texts } from './texts.ts'

interface Notice {
  readonly text: string
  readonly action?: { readonly label: string, readonly run: () => void }
  /** Offered as a button and by Ctrl+Z. */
  readonly undo?: () => void
}

/** A notice without an action disappears after this time. */
const SHOWN_MILLISECONDS = 8000

const notice = signal<Notice | undefined>(undefined)

let waiting: Notice | undefined

/** Shows and announces a notice until it is dismissed or the next one replaces it. */
export function notify (next: Notice): void {
  notice.value = next
}

/** The same, but not in place of a notice that offers something: then it waits. */
export function notifyWhenFree (next: Notice): void {
  const { action, undo } = notice.peek() ?? {}
  if (action === undefined && undo === undefined) notify(next)
  else waiting = next
}

/** Removes the notice. Deletions and moves begin with this, so that the undo of an earlier one is not shown. */
export function dismiss (): void {
  notice.value = waiting
  waiting = undefined
}

/** The place of the notice. */
export function Notices () {
  const { text, undo, action = undo && { label: texts.files.undo, run: undo } } = notice.value ?? {}
  const before = useRef<EventTarget | null>(null)
  useExpiry()
  useEffect(() => listen({ keydown: press }), [])
  const leave = (event: Event) => {
    if (event.currentTarget === document.activeElement) returnFocus(before.current)
    dismiss()
  }
  const runAction = (event: Event) => {
    leave(event)
    action?.run()
  }
  return (
    <div class='notices' role='status'>
      {text !== undefined && (
        <div class='notice' onFocusIn={event => { before.current = event.relatedTarget ?? before.current }}>
          <span dir='auto'>{text}</span>
          {action !== undefined && <button type='button' onClick={runAction}>{action.label}</button>}
          <IconButton icon='close' label={texts.dismiss} onClick={leave} />
        </div>
      )}
    </div>
  )
}

/** Ctrl+Z undoes the last act, as long as its notice is shown. In fields and dialogs it belongs to them. */
function press (event: KeyboardEvent): void {
  const { key, ctrlKey, metaKey, altKey, shiftKey, target, repeat, defaultPrevented } = event
  const isUndo = (ctrlKey || metaKey) && !altKey && !shiftKey && key.toLowerCase() === 'z'
  const undo = notice.peek()?.undo
  if (!isUndo || undo === undefined || repeat || defaultPrevented || isBusy(target)) return
  event.preventDefault()
  dismiss()
  undo()
}

/** A notice that is being read or used stays. */
function dismissUnused (): void {
  if (document.querySelector('.notice:is(:hover, :focus-within)') === null) dismiss()
}

function useExpiry (): void {
  useEffect(() => {
    if (notice.value === undefined || (notice.value.action ?? notice.value.undo) !== undefined) return
    const timer = setTimeout(dismissUnused, SHOWN_MILLISECONDS)
    return () => clearTimeout(timer)
  }, [notice.value])
}

/** Moves the focus back to where it was before the notice, if that element is still there. */
function returnFocus (before: EventTarget | null): void {
  if (before instanceof HTMLElement && before.isConnected && before.closest('.notice') === null) return before.focus()
  focusMain()
}
