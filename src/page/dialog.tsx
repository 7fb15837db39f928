import type { ComponentChildren } from 'preact'
import { useId, useLayoutEffect, useRef } from 'preact/hooks'
import { addDialog } from './dialog-history.ts'
import { focusMain } from './focus.ts'
import { frameTexts } from './frame-texts.ts'
import { IconButton } from './icon-button.tsx'

interface DialogProps {
  title: ComponentChildren
  /** Called by Escape, the close button and Back. Without it the dialog can't be closed. */
  onClose?: () => void
  onKeyDown?: (event: KeyboardEvent) => void
  /** Whether a click outside closes it. */
  closesOutside?: boolean
  /** Buttons in its head, beside that which closes it. */
  controls?: ComponentChildren
  class?: string
  children: ComponentChildren
}

/**
 * A modal dialog. The focus starts at the element with `data-autofocus`, stays inside, and returns when the dialog
 * closes. `autofocus` would do the same, but Chromium writes a message about it to the console. A click outside does
 * nothing in dialogs with inputs, so that no input is lost.
 */
export function Dialog (
  { title, onClose, onKeyDown, closesOutside = false, controls, class: className = '', children }: DialogProps
) {
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
      // Closed first, because nothing outside of an open dialog can get the focus.
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
  const outside = useOutside(() => { if (closesOutside) onClose?.() })
  return (
    <dialog
      ref={element} class={className} aria-labelledby={titleId} onCancel={cancel} onClose={open} onKeyDown={onKeyDown}
      {...outside}
    >
      <header>
        <h2 id={titleId} dir='auto'>{title}</h2>
        <div class='controls'>
          {controls}
          {onClose !== undefined && (
            <IconButton
              icon='close' label={frameTexts.close} data-autofocus={controls !== undefined || undefined}
              onClick={onClose}
            />
          )}
        </div>
      </header>
      {children}
    </dialog>
  )
}

/**
 * The event listeners of a dialog for clicks on its backdrop, which is part of the element. A press that began inside,
 * for example to select text, does not count.
 */
function useOutside (action: () => void) {
  const isPressed = useRef(false)
  return {
    onMouseDown (event: MouseEvent): void {
      isPressed.current = isOutside(event)
      // The focus stays where it is.
      if (isPressed.current) event.preventDefault()
    },
    onClick (event: MouseEvent): void { if (isPressed.current && isOutside(event)) action() }
  }
}

function isOutside ({ target, currentTarget, clientX: x, clientY: y }: MouseEvent): boolean {
  if (target !== currentTarget || !(target instanceof Element)) return false
  const { left, right, top, bottom } = target.getBoundingClientRect()
  return x < left || x > right || y < top || y > bottom
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
