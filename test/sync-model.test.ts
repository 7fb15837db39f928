import { test } from 'tap'
import { testHistories } from './sync/histories.ts'
import { World, type ModelComputer } from './sync/model.ts'

function createWorld (name: string): World & { A: ModelComputer, B: ModelComputer } {
  const world = new World(name)
  const [A, B] = [world.addComputer('A'), world.addComputer('B')]
  world.addComputer('C')
  return Object.assign(world, { A, B })
}

testHistories('history')

type Story = ReturnType<typeof createWorld>

interface History {
  /** What all have. */
  readonly prepare: (world: Story) => void
  /** What persons did when computer A runs again. */
  readonly before: (world: Story) => void
  /** What a person does at one of the steps of that run; without it, the run is killed at that step. */
  readonly during?: (world: Story) => void
  /** Whether the run is killed at the step after that. */
  readonly isKilled?: boolean
  /** What is wrong after that run. */
  readonly then?: (world: Story) => string[]
  readonly after?: (world: Story) => void
  /** Whether these paths are right at the end. */
  readonly end: (paths: string[], world: Story) => boolean
}

const are = (...expected: string[]) => (paths: string[]) => paths.join() === expected.join()
const deletionsIn = ({ log }: Story) => log.filter(line => line.includes(': delete'))

/** All others have been quiet before the run. */
const JUST_NOW = 'a folder that was moved just now is one move: it is not new while its former path may be there'

/** A person moves x to y, and writes another x. */
function replaceMoved (world: Story): void {
  world.A.disk.rename('x', 'y')
  world.write('x', world.A)
}

/** On the page, x moves to y, if that is free; at the computer, the other x is deleted. */
function deleteReplacement ({ A, server, dropped }: Story): void {
  if (!server.tree().has('y')) server.move({ path: 'x', kind: 'file' }, 'y')
  dropped.add(String(A.disk.tree().get('x')))
  if (A.disk.exists('x')) A.disk.unlink('x')
}

/** Each goes wrong without a rule that may look odd. What happens in the run happens once at each of its steps. */
const histories: Record<string, History> = {
  'a file that moves while folders are read is not deleted: what a folder lacks counts only if nobody changed it': {
    prepare (world) {
      for (const folder of ['a', 'b']) world.A.disk.makeFolder(folder)
      world.write('b/x', world.A)
    },
    before: ({ A }) => A.disk.makeFolder('c'),
    during: ({ A }) => A.disk.rename('b/x', 'a/x'),
    then: deletionsIn,
    end: are('a', 'a/x', 'b', 'c')
  },
  [JUST_NOW]: {
    prepare (world) {
      world.A.disk.makeFolder('a')
      world.write('a/x', world.A)
    },
    before ({ A }) {
      A.disk.rename('a', 'b')
    },
    during: ({ clock }) => { clock.now-- },
    then: ({ log }) => log.filter(line => !line.includes('move there a')),
    end: are('b', 'b/x')
  },
  'an edit while a download takes the place of a file is current: what is replaced is looked at in `aside`': {
    prepare: world => { world.write('x', world.A) },
    before: world => { world.write('x') },
    during: world => { world.write('x', world.A) },
    end: paths => paths[0] === 'x'
  },
  'an edit while a file is deleted is current': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.dropped.add(String(world.server.tree().get('x')))
      world.server.removeAll('x')
    },
    during: world => { if (world.A.disk.exists('x')) world.write('x', world.A) },
    end: paths => paths.length < 2
  },
  'an edit just before a file is set aside is current after a kill, also without the base': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.dropped.add(String(world.server.tree().get('x')))
      world.server.removeAll('x')
    },
    during: world => { if (world.A.disk.exists('x')) world.write('x', world.A) },
    isKilled: true,
    after: ({ A }) => A.state.lose(),
    end: paths => paths.length < 2
  },
  'a row stays while its file, moved just before a kill, is not hashed yet, also if another file has come to its path': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.server.move({ path: 'x', kind: 'file' }, 'y')
      world.write('y')
      world.write('x')
    },
    end: are('x', 'y')
  },
  'a file that all have moved, while another took its path, is one file: its former row goes, also if it moves back': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      replaceMoved(world)
      world.server.move({ path: 'x', kind: 'file' }, 'y')
    },
    during ({ server }) {
      if (server.tree().has('y') && !server.tree().has('x')) server.move({ path: 'y', kind: 'file' }, 'x')
    },
    end: paths => paths.includes('x') && paths.length === 2
  },
  'a download is no edit of the file that was at its path, also if a power cut left the base older than the folder': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.server.move({ path: 'x', kind: 'file' }, 'y')
      world.write('x')
    },
    during () {},
    after ({ A, server }) {
      A.state.fallBack()
      server.move({ path: 'y', kind: 'file' }, 'z')
    },
    end: are('x', 'z')
  },
  'a file that is saved while it is moved here is not removed: it goes through `aside`, not by a link': {
    prepare: world => { world.write('x', world.A) },
    before: ({ server }) => { server.move({ path: 'x', kind: 'file' }, 'y') },
    during (world) {
      const { disk } = world.A
      if (!disk.exists('x')) return
      disk.write('part.ignored', world.newContent())
      disk.rename('part.ignored', 'x')
      world.dropped.add([...world.server.tree().values()][0] ?? '')
    },
    end: paths => paths.includes('x') || paths.includes('y')
  },
  'a conflict that is cut is no move: the row goes before the file gets its conflict name': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.write('x', world.A)
      world.write('x')
    },
    end: are('x', 'x (conflict 00000002)')
  },
  'a file in conflict that has a copy with its former bytes is not moved to that when the run is cut': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      const content = String(world.server.tree().get('x'))
      world.copied.add(content)
      world.write('y', world.A, content)
      world.write('x', world.A)
      world.write('x')
      world.refuses = request => request === 'upload y'
    },
    after: world => { world.refuses = () => false },
    end: are('x', 'x (conflict 00000002)', 'y')
  },
  'a file whose former bytes are in `aside` is new: it does not replace what has come back there': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.dropped.add(String(world.server.tree().get('x')))
      world.server.removeAll('x')
    },
    after (world) {
      for (const entry of world.server.trash()) world.server.undelete(entry, 'x')
      if (!world.A.disk.exists('x')) world.write('x', world.A)
    },
    end: (paths, { written }) => paths.length === written.size
  },
  'the row of a file that was moved here and there stays until it is followed: another one does not take its place': {
    prepare: world => { for (const path of ['x', 'y']) world.write(path, world.A) },
    before ({ A, server }) {
      A.disk.rename('y', 'z')
      server.makeFolder('d')
      server.move({ path: 'y', kind: 'file' }, 'd/y')
      server.move({ path: 'x', kind: 'file' }, 'y')
    },
    // It is not killed: a file that has two names then is two files.
    during: () => {},
    end: are('d', 'd/y', 'y')
  },
  'of two files with the same bytes, of which a copy is left, none is moved': {
    prepare (world) {
      const content = world.write('x', world.A)
      world.write('y', world.A, content)
      world.copied.add(content)
    },
    before (world) {
      world.write('z', world.A, String(world.server.tree().get('x')))
      for (const path of ['x', 'y']) world.A.disk.unlink(path)
      world.write('x')
    },
    end: are('x', 'z')
  },
  'a file that was moved there and edited here is not as the base after the move': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.server.move({ path: 'x', kind: 'file' }, 'y')
      world.write('x', world.A)
    },
    // Killed between two names of one file, it leaves both, and a conflict.
    end: paths => paths.includes('y')
  },
  'files that change their names are moved: changes are of ids, not of names': {
    prepare: world => { for (const path of ['x', 'y']) world.write(path, world.A) },
    before ({ server }) {
      for (const [from, to] of [['x', 't'], ['y', 'x'], ['t', 'y']] as const) server.move({ path: from, kind: 'file' }, to)
    },
    end: (paths, { server }) => are('x', 'y')(paths) && server.tree().get('x') === '00000002'
  },
  'an upload of which the answer is lost is no act of somebody else': {
    prepare: world => { world.write('x', world.A) },
    before: world => { world.write('x', world.A) },
    after: world => { world.write('x', world.A) },
    end: are('x')
  },
  'a move of which the answer is lost is no act of somebody else': {
    prepare: world => { world.write('x', world.A) },
    before: ({ A }) => A.disk.rename('x', 'y'),
    after: ({ A }) => A.disk.rename('y', 'z'),
    end: are('z')
  },
  'a file that has come to the name of another one is not moved: a move has its id': {
    prepare: world => { world.write('x', world.A) },
    before: ({ A }) => A.disk.rename('x', 'y'),
    during (world) {
      if (!world.server.tree().has('x')) return
      world.dropped.add(String(world.server.tree().get('x')))
      world.server.removeAll('x')
      world.write('x')
    },
    end: (paths, { written }) => written.size === 1 ? are('y')(paths) : are('x', 'y')(paths)
  },
  'a folder that was moved is not made again for a file: an upload has the id of its folder': {
    prepare: ({ A }) => A.disk.makeFolder('a'),
    before: world => { world.write('a/x', world.A) },
    during: ({ server }) => { if (server.tree().has('a')) server.move({ path: 'a', kind: 'folder' }, 'b') },
    end: are('b', 'b/x')
  },
  'a file that was moved and edited is on the server at any time: deletions are last': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.A.disk.rename('x', 'y')
      world.write('y', world.A)
    },
    then: ({ server }) => server.tree().size > 0 ? [] : ['it is not on the server'],
    end: are('y')
  },
  'nothing is deleted there while the mark of the folder is gone: its disk may not be mounted': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.dropped.add(String(world.server.tree().get('x')))
      for (const path of ['x', '.magicstore/id']) world.A.disk.unlink(path)
    },
    during: () => {},
    then: ({ server }) => server.tree().size > 0 ? [] : ['it is deleted'],
    after: ({ A }) => A.disk.write('.magicstore/id', ''),
    end: are()
  },
  'a file that has come to the place of a folder waits for what can\'t be deleted in that': {
    prepare (world) {
      world.A.disk.makeFolder('d')
      world.write('d/x', world.A)
    },
    before (world) {
      world.dropped.add(String(world.server.tree().get('d/x')))
      world.A.disk.removeAll('d')
      world.write('d', world.A)
      world.refuses = request => request === 'remove d/x'
    },
    during: () => {},
    then: ({ server }) => are('d', 'd/x')(Array.from(server.tree().keys()).sort()) ? [] : ['the folder has gone'],
    after: world => { world.refuses = () => false },
    end: are('d')
  },
  'what a restored backup lacks is not deleted: nothing is agreed with an earlier time': {
    prepare (world) {
      world.backup = world.server.snapshot()
      world.write('x', world.A)
    },
    before: world => world.restore(world.backup),
    end: are('x')
  },
  'the same bytes on two computers make one conflict name: it is of the bytes': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      const content = world.write('x', world.A)
      world.write('x', world.B, content)
      world.copied.add(content)
      world.write('x')
    },
    end: are('x', 'x (conflict 00000002)')
  },
  'a deletion here waits while its bytes are on the server under names that are not here': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      const content = String(world.server.tree().get('x'))
      world.server.removeAll('x')
      for (const path of ['y', 'z']) world.server.put(path, content)
      world.copied.add(content)
      world.refuses = request => request.startsWith('download')
    },
    then: ({ A }) => A.disk.tree().size > 0 ? [] : ['the bytes are nowhere here'],
    after: world => { world.refuses = () => false },
    end: are('y', 'z')
  },
  'a file and a folder that take the places of each other there do so here: of deletions that wait for each other, one is made': {
    prepare (world) {
      for (const folder of ['a', 'a/b']) world.A.disk.makeFolder(folder)
      for (const path of ['b', 'd', 'a/b/d']) world.write(path, world.A)
    },
    before ({ server }) {
      server.move({ path: 'b', kind: 'file' }, 't')
      server.move({ path: 'a/b', kind: 'folder' }, 'u')
      server.move({ path: 't', kind: 'file' }, 'a/b')
      server.makeFolder('b')
      server.move({ path: 'u', kind: 'folder' }, 'b/b')
      server.move({ path: 'd', kind: 'file' }, 'b/a')
    },
    end: are('a', 'a/b', 'b', 'b/a', 'b/b', 'b/b/d')
  },
  'a file that a kill left at both its paths while it moved here is one': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.write('x')
      world.server.move({ path: 'x', kind: 'file' }, 'y')
    },
    end: are('y')
  },
  'an upload of which the answer was lost is known by the id of its file, whatever path that has now': {
    prepare: world => { world.write('x', world.A) },
    before: replaceMoved,
    after: deleteReplacement,
    end: paths => paths[0] === 'y'
  },
  'an upload of which the answer was lost, and whose bytes another replaced, is a conflict': {
    prepare: world => { world.write('x', world.A) },
    before: replaceMoved,
    after (world) {
      deleteReplacement(world)
      world.write('y')
    },
    end: paths => paths[0] === 'y'
  },
  'a deletion there waits while its bytes are here under names that are not there': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      const content = String(world.server.tree().get('x'))
      for (const path of ['y', 'z']) world.write(path, world.A, content)
      world.A.disk.unlink('x')
      world.copied.add(content)
      world.refuses = request => request.startsWith('upload')
    },
    then: ({ server }) => server.tree().size > 0 ? [] : ['the bytes are nowhere there'],
    after: world => { world.refuses = () => false },
    end: are('y', 'z')
  },
  'a file that is in the way of its own bytes does not wait for them': {
    prepare: world => { world.write('x', world.A) },
    before ({ server }) {
      server.move({ path: 'x', kind: 'file' }, 't')
      server.makeFolder('x')
      server.move({ path: 't', kind: 'file' }, 'x/x')
    },
    end: are('x', 'x/x')
  },
  'a new file with the inode of one that was deleted is no move of that': {
    prepare: world => { world.write('x', world.A) },
    before (world) {
      world.dropped.add(String(world.server.tree().get('x')))
      world.A.disk.unlink('x')
      world.write('y', world.A)
    },
    end: (paths, { server }) => are('y')(paths) && server.trash().length === 1
  },
  'a folder that is deleted there and has only ignored files here is not made there again': {
    prepare: world => {
      world.A.disk.makeFolder('b')
      world.write('b/x', world.A)
    },
    before (world) {
      world.A.disk.write('b/ignored', 'ffffffff')
      world.dropped.add(String(world.server.tree().get('b/x')))
      world.server.removeAll('b')
    },
    end: are()
  }
}

for (const [name, { prepare, before, during, isKilled = false, then, after, end }] of Object.entries(histories)) {
  test(name, async t => {
    for (let step = 1, isOver = false; !isOver; step++) {
      const world = createWorld(name)
      prepare(world)
      t.same(await world.settle(), [])
      world.clock.now += 5000
      before(world)
      if (name !== JUST_NOW) world.clock.now += 5000
      world.log.length = 0
      let isReached = false
      const act = () => { isReached = true; during?.(world) }
      const last = during === undefined || isKilled ? step : Infinity
      const result = await world.A.sync(last, during && { step, act })
      isOver = during === undefined ? result !== undefined : !isReached
      if (during !== undefined && isOver) continue
      const faults = then?.(world) ?? []
      after?.(world)
      const paths = () => Array.from(world.server.tree().keys()).sort()
      faults.push(...await world.settle())
      if (faults.length > 0 || !end(paths(), world)) {
        t.fail(`step ${step}: ${faults.join('; ')} ${paths().join()}`, { log: world.log })
        return
      }
    }
    t.pass('at each step')
  })
}
