import { signal } from '@preact/signals'
import { h, type ComponentChildren, type FunctionComponent, type VNode } from 'preact'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { ActionButton } from './action-button.tsx'
import { Dialog } from './dialog.tsx'
import { focusHeading } from './focus.ts'
import { frameTexts } from './frame-texts.ts'
import { addressOfTexts } from './loaded-texts.ts'
import { useAction } from './use-action.ts'

/** Why parts could not be loaded. `outdated`: the server has another version of the page. */
type Failure = 'unreachable' | 'outdated'

type PropsOf<Part> = Part extends (props: infer Props) => unknown ? unknown extends Props ? object : Props : never

/**
 * Components that are not in the first view of a page: they are in a script of their own, which is loaded when one of
 * them is first shown, or before.
 */
export function createParts<Parts extends object> () {
  const parts = signal<Parts | undefined>(undefined)
  const failure = signal<Failure | undefined>(undefined)
  let running: Promise<void> | undefined
  let importParts: () => Promise<Parts>

  async function attempt (): Promise<void> {
    const { parts: address = '', styles } = document.body.dataset
    const addresses = [address, styles, addressOfTexts(true)].filter(address => address !== undefined)
    try {
      // Some browsers keep the failure of an import for good, but none that of a fetch.
      const statuses = await Promise.all(addresses.map(fetchStatus))
      if (statuses.every(status => status === 200)) {
        if (styles !== undefined) await addStyles(styles)
        parts.value = await importParts()
      } else failure.value = statuses.includes(404) ? 'outdated' : 'unreachable'
    } catch {
      failure.value = 'unreachable'
    }
  }

  /** Takes what imports the parts. Only the entry of a page knows them: they need what is in its first view. */
  function provide (take: () => Promise<Parts>): void {
    importParts = take
  }

  /** Loads the parts, unless they are there or on their way. Undefined if they can't be loaded. */
  async function load (): Promise<Parts | undefined> {
    running ??= attempt().finally(() => { if (parts.peek() === undefined) running = undefined })
    await running
    return parts.peek()
  }

  function Missing () {
    const loading = useAction(async () => { await load() })
    useLayoutEffect(() => { void loading.run() }, [])
    if (failure.value === undefined) return <p class='muted' role='status'>{frameTexts.loading}</p>
    return (
      <>
        <div class='problem' role='alert'><p>{frameTexts.missingParts[failure.value]}</p></div>
        <div class='actions'>
          {failure.value === 'outdated'
            ? <button type='button' class='primary' onClick={() => location.reload()}>{frameTexts.loadAgain}</button>
            : <ActionButton action={loading} class='primary'>{frameTexts.tryAgain}</ActionButton>}
        </div>
      </>
    )
  }

  /** A component of the parts. Until it is loaded, `around` shows in its place what is missing. */
  function part<Name extends keyof Parts> (
    name: Name, around: (missing: VNode, props: PropsOf<Parts[Name]>) => VNode
  ): FunctionComponent<PropsOf<Parts[Name]>> {
    return props => {
      const component = parts.value?.[name] as FunctionComponent<PropsOf<Parts[Name]>> | undefined
      return component === undefined ? around(<Missing />, props) : h(component, props)
    }
  }

  return { provide, load, part }
}

/** Fetches a script or a style sheet into the cache of the browser. @throws TypeError. */
async function fetchStatus (address: string): Promise<number> {
  const response = await fetch(new URL(address, document.baseURI))
  await response.arrayBuffer()
  return response.status
}

/** Resolves when the styles apply, so that no part is shown without them. */
async function addStyles (href: string): Promise<void> {
  const link = Object.assign(document.createElement('link'), { rel: 'stylesheet', href })
  await new Promise((resolve, reject) => {
    Object.assign(link, { onload: resolve, onerror: reject })
    document.head.append(link)
  })
}

/** A dialog in place of one that is missing. */
export function missingDialog (missing: VNode, { onClose }: { onClose: () => void }): VNode {
  return <Dialog title={frameTexts.title} onClose={onClose}>{missing}</Dialog>
}

/** A view in place of one that is missing. The heading keeps the focus. */
export function MissingView ({ title, children }: { title: string, children: ComponentChildren }) {
  const view = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    const element = view.current
    return () => { if (element?.contains(document.activeElement) === true) queueMicrotask(() => focusHeading('h2')) }
  }, [])
  return <div class='account' ref={view}><h2>{title}</h2>{children}</div>
}
