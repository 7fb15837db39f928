import type { ComponentChildren } from 'preact'
import { useId, useLayoutEffect, useRef } from 'preact/hooks'
import { addDialog } from './dialog-history.ts'
import { focusMain } from './focus.ts'
import { Icon } from './icon.tsx'
import { frameTexts } from './frame-texts.ts'

interface DialogProps {
  title: ComponentChildren
  /** Called by Escape, the close button and Back. Without it the dialog can't be closed. */
  onClose?: () => void
  onKeyDown?: (event: KeyboardEvent) => void
  class?: string
  children: ComponentChildren
}

/**
 * A modal dialog. The focus starts at the element with `data-autofocus`, stays inside, and returns when the dialog
 * closes. `autofocus` would do the same, but Chromium writes a message about it to the console. A click outside does
 * nothing, so that no input is lost.
 */
export function Dialog ({ title, onClose, onKeyDown, class: className = '', children }: DialogProps) {
  const close = useRef(onClose)
  close.current = onClose
  const element = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  // A layout effect, so that the focus has moved before the next key is pressed.
  useLayoutEffect(() => {
    const dialog = element.current
    const opener = document.activeElement
    dialog?.showModal()
    dialog?.querySelector<HTMLElement>('[data-autofocus]')?.focus()
    return () => {
      // First, because nothing outside of an open dialog can get the focus.
      dialog?.close()
      returnFocus(opener, dialog?.closest('section, main'))
    }
  }, [])
  useLayoutEffect(() => onClose && addDialog(() => close.current?.()), [])
  const cancel = (event: Event) => {
    event.preventDefault()
    onClose?.()
  }
  // Browsers close a dialog at the second Escape, even if the page prevents it.
  const open = () => { if (element.current?.isConnected === true) element.current.showModal() }
  return (
    <dialog
      ref={element} class={className} aria-labelledby={titleId} onCancel={cancel} onClose={open} onKeyDown={onKeyDown}
    >
      <header>
        <h2 id={titleId} dir='auto'>{title}</h2>
        {onClose !== undefined && (
          <button type='button' class='quiet' onClick={onClose} aria-label={frameTexts.close}><Icon name='close' /></button>
        )}
      </header>
      {children}
    </dialog>
  )
}

/**
 * If the element that opened the dialog is gone, such as the row of a revoked token, the heading of its section gets
 * the focus.
 */
function returnFocus (opener: Element | null, section: Element | null | undefined): void {
  const isThere = opener?.isConnected === true && opener !== document.body
  const target = isThere ? opener : section?.querySelector('[tabindex="-1"]:is(h2, h3)')
  if (target instanceof HTMLElement) target.focus()
  else focusMain()
}
