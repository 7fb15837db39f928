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
