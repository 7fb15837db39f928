import { Dialog } from './dialog.tsx'
import { areOn, useKeys } from './shortcut-setting.ts'
import { texts } from './later-texts.ts'

/** All keyboard shortcuts. */
export function ShortcutsDialog ({ onClose }: { onClose: () => void }) {
  const { title, groups, use, useHint } = texts.shortcuts
  return (
    <Dialog title={title} class='shortcuts' onClose={onClose}>
      {groups.map(({ name, keys }) => (
        <section key={name}>
          <h3>{name}</h3>
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

/** Keys that are pressed together are joined by `+`. Others of the same meaning come after a space. */
function Keys ({ combination }: { combination: string }) {
  return <>{combination.split(' ').map(keys => <kbd key={keys}>{keys}</kbd>)}</>
}
