import { Dialog } from './dialog.tsx'
import { areOn, useKeys } from './shortcut-setting.ts'
import { texts } from './later-texts.ts'

/** All keyboard shortcuts. */
export function ShortcutsDialog ({ onClose }: { onClose: () => void }) {
  const { title, use, useHint } = texts.shortcuts
  return (
    <Dialog title={title} class='shortcuts' onClose={onClose}>
      {groups().map(({ title, keys }) => (
        <section key={title}>
          <h3>{title}</h3>
          <dl>
            {keys.map(([combination, meaning]) => (
              <div key={meaning}><dt><Keys combination={combination} /></dt><dd>{meaning}</dd></div>
            ))}
          </dl>
        </section>
      ))}
      <label class='choice'>
        <input type='checkbox' checked={areOn.value} onChange={() => useKeys(!areOn.peek())} />{use}
      </label>
      <p class='muted'>{useHint}</p>
    </Dialog>
  )
}

interface Group { readonly title: string, readonly keys: readonly (readonly [keys: string, meaning: string])[] }

function groups (): Group[] {
  const { anywhere, inList, selection, preview, keys } = texts.shortcuts
  return [
    {
      title: anywhere.title,
      keys: [
        ['/', anywhere.search], ['?', anywhere.list], [keys.undo, anywhere.undo], [keys.escape, anywhere.close]
      ]
    },
    {
      title: inList.title,
      keys: [
        ['↑ ↓', inList.upDown], [keys.pages, inList.page], [keys.ends, inList.ends], ['← →', inList.row],
        ['A–Z', inList.letters], [keys.enter, inList.open], ['F2', inList.rename], [keys.menu, inList.menu],
        [keys.remove, inList.remove], ['*', inList.star]
      ]
    },
    {
      title: selection.title,
      keys: [
        [keys.space, selection.toggle], [keys.extend, selection.extend], [keys.all, selection.all],
        [keys.escape, selection.none]
      ]
    },
    {
      title: preview.title,
      keys: [
        ['← →', preview.move], ['+ -', preview.zoom], ['← → ↑ ↓', preview.pan], ['0', preview.whole],
        ['I', preview.details], [keys.escape, preview.close]
      ]
    }
  ]
}

/** Keys that are pressed together are joined by `+`. Others of the same meaning come after a space. */
function Keys ({ combination }: { combination: string }) {
  return <>{combination.split(' ').map(keys => <kbd key={keys}>{keys}</kbd>)}</>
}
