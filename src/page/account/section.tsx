import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { isFocusLost } from '../focus.ts'
import { Retry } from '../problem.tsx'
import { texts } from '../later-texts.ts'

interface SectionProps {
  title: string
  hint?: string
  /** A button next to the heading. */
  action?: ComponentChildren
  children: ComponentChildren
}

/**
 * A part of the account. If the focused element is removed, such as the row of a session, the heading gets the focus.
 */
export function Section ({ title, hint, action, children }: SectionProps) {
  const heading = useRef<HTMLHeadingElement>(null)
  const hadFocus = useRef(false)
  const id = useId()
  useEffect(() => {
    if (hadFocus.current && isFocusLost()) heading.current?.focus({ preventScroll: true })
  })
  return (
    <section
      class='card' aria-labelledby={id} onFocusIn={() => { hadFocus.current = true }}
      onFocusOut={event => { hadFocus.current = event.relatedTarget === null }}
    >
      <div class='section-head'>
        <h3 id={id} ref={heading} tabIndex={-1}>{title}</h3>
        {action}
      </div>
      {hint !== undefined && <p class='hint'>{hint}</p>}
      {children}
    </section>
  )
}

/** Shown while something is loading, or if it could not be loaded. */
export function Unloaded ({ error, reload }: { error: unknown, reload: () => Promise<void> }) {
  if (error === undefined) return <p class='muted'>{texts.loading}</p>
  return <Retry error={error} action={() => { void reload() }} />
}
