import { World } from './model.ts'
import { SEED } from '../kit/random.ts'

// `draw.ts KIND COUNT NAME`: lives histories that a seed draws, and prints the first that goes wrong. It runs in a
// process of its own: the test runner follows each promise, which takes as much time as the histories.

/** How many acts and runs a history has, and how many turns one of one person at a time. */
const LENGTH = 20
const TURNS = 5

async function live (world: World): Promise<string[]> {
  await world.live(LENGTH)
  return world.settle()
}

const kinds: Record<string, (name: string) => Promise<[World, string[]]>> = {
  async together (name) {
    const world = createWorld(name)
    return [world, await live(world)]
  },
  async alone (name) {
    const world = createWorld(name)
    return [world, await world.liveAlone(TURNS)]
  },
  async folding (name) {
    const world = createWorld(name, { folds: true })
    world.names = ['a', 'b', 'c', 'A', 'B']
    return [world, await live(world)]
  }
}

function createWorld (name: string, { folds = false } = {}): World {
  const world = new World(name, SEED)
  for (const computer of ['A', 'B']) world.addComputer(computer)
  world.addComputer('C', { folds })
  return world
}

const [kind = '', count = '', name] = process.argv.slice(2)
for (let n = 0; n < Number(count); n++) {
  const [world, faults] = await kinds[kind]!(`${name} ${n}`)
  if (faults.length === 0) continue
  console.log([`${name} ${n} of seed ${SEED}: ${faults.join('; ')}`, ...world.log].join('\n'))
  process.exit(1)
}
