import { focusMain, isFocusLost } from './focus.ts'

const CONTROLS = 'a[href], button, input, select, summary, [tabindex="0"]'

/**
 * Keeps the focus in the page: when the focused control is removed, hidden or disabled, and nothing else has taken the
 * focus, the nearest control gets it. Otherwise keys would mean nothing, and the next Tab would begin at the top.
 */
export function guardFocus (): void {
  /** What has the focus, and the elements around it, from the inside. */
  let path: readonly Element[] = []
  const isGone = () => path[0] !== undefined && !isUsable(path[0])
  const check = () => { if (isGone() && isFocusLost()) focusNear(path) }
  // After the effects of the page, which know better where the focus belongs, and run after the next frame.
  const checkLater = () => { if (isFocusLost()) requestAnimationFrame(() => setTimeout(check)) }
  document.addEventListener('focusin', ({ target }) => { path = pathOf(target as Element) })
  document.addEventListener('focusout', () => queueMicrotask(() => {
    // The user has clicked where nothing can have the focus.
    if (isFocusLost() && !isGone()) path = []
    checkLater()
  }))
  new MutationObserver(checkLater).observe(document.body, { childList: true, subtree: true })
}

function pathOf (element: Element): Element[] {
  const path: Element[] = []
  for (let at: Element | null = element; at !== null && at !== document.body; at = at.parentElement) path.push(at)
  return path
}

/** Focuses the first control of the nearest element that is still there, or the content of the page. */
function focusNear (path: readonly Element[]): void {
  const around = path.find(element => isUsable(element) && element.id !== 'main')
  const controls = Array.from(around?.querySelectorAll<HTMLElement>(CONTROLS) ?? [])
  const control = controls.find(isUsable)
  if (control === undefined) focusMain()
  else control.focus({ preventScroll: true })
}

function isUsable (element: Element): boolean {
  return element.checkVisibility({ visibilityProperty: true }) && !element.matches(':disabled')
}
