/** Whether no element has the focus, for example because the focused one was removed. */
export function isFocusLost (): boolean {
  return document.activeElement === null || document.activeElement === document.body
}

/** Focuses the heading of a new screen, because the focused element may be gone. */
export function focusHeading (level: 'h1' | 'h2'): void {
  const heading = document.querySelector<HTMLElement>(`#main ${level}`) ?? document.getElementById('main')
  heading?.setAttribute('tabindex', '-1')
  heading?.focus()
}

/** Focuses the content of the page, if no closer element can get the focus. */
export function focusMain (): void {
  document.getElementById('main')?.focus()
}
