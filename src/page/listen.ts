/** What uses the keys itself. */
const KEY_USERS = 'input:not([type=checkbox]), textarea, select, [contenteditable], [role="menu"]'

type Listeners = { readonly [Name in keyof WindowEventMap]?: (event: WindowEventMap[Name]) => void }

/** Adds listeners of events. Returns a function that removes them. */
export function listen (
  listeners: Listeners, target: EventTarget = window, options: AddEventListenerOptions = {}
): () => void {
  const ended = new AbortController()
  for (const [name, listener] of Object.entries(listeners)) {
    target.addEventListener(name, listener as EventListener, { ...options, signal: ended.signal })
  }
  return () => ended.abort()
}

/** Whether keys belong to what has the focus: a field, a dialog or a menu. */
export function isBusy (target: EventTarget | null): boolean {
  const isField = target instanceof Element && target.closest(KEY_USERS) !== null
  return isField || document.querySelector('dialog[open]') !== null
}
