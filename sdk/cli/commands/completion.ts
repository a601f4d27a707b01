/**
 * polaris completion SHELL: a script that completes commands and options, made from what the command knows of itself.
 */
import { Argument, Command } from 'commander'

const SHELLS = ['bash', 'zsh', 'fish'] as const

export function completionCommand (): Command {
  return new Command('completion')
    .description('Prints a script that completes commands and options in a shell.')
    .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
    .addHelpText('after', `
Examples:
  $ polaris completion bash > ~/.local/share/bash-completion/completions/polaris
  $ polaris completion zsh > "\${fpath[1]}/_polaris"
  $ polaris completion fish > ~/.config/fish/completions/polaris.fish
`)
    .action((shell: typeof SHELLS[number], _options: object, command: Command) => {
      process.stdout.write(SCRIPTS[shell](describe(command.parent ?? command)))
    })
}

interface Word {
  readonly word: string
  readonly description: string
}

interface Described extends Word {
  readonly options: readonly (Word & {
    readonly short: string | undefined, readonly file: boolean, readonly value: boolean
  })[]
  readonly commands: readonly Described[]
  /** What may stand in place of a command's argument. */
  readonly choices: readonly string[]
}

function describe (command: Command): Described {
  return {
    word: command.name(),
    description: firstSentence(command.description()),
    options: [...command.options.filter(({ hidden }) => !hidden).map(({
      long, short, flags, description, required, optional
    }) => ({
      word: long ?? short ?? '',
      short: long === undefined ? undefined : short,
      description,
      file: /<(?:file|path)>/.test(flags),
      value: required || optional
    })), { word: '--help', short: '-h', description: 'display help for command', file: false, value: false }],
    commands: command.commands.map(describe),
    choices: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? [])
  }
}

function firstSentence (text: string): string {
  return /^.*?[.:](?=\s|$)/s.exec(text)?.[0].replace(/[.:]$/, '') ?? text
}

/** All commands by the words that lead to them, the root first. */
function * paths (
  root: Described, words: readonly string[] = []
): Generator<[path: string, command: Described], void, void> {
  yield [words.join(' '), root]
  for (const command of root.commands) yield * paths(command, [...words, command.word])
}

const SCRIPTS: Record<typeof SHELLS[number], (root: Described) => string> = { bash, zsh, fish }

function words ({ commands, options, choices }: Described): string {
  return [
    ...commands.map(({ word }) => word), ...choices,
    ...options.flatMap(({ word, short }) => short === undefined ? [word] : [word, short])
  ].join(' ')
}

function bash (root: Described): string {
  const files = [...new Set([...paths(root)].flatMap(([, { options }]) => options.filter(({ file }) => file).flatMap(
    ({ word, short }) => [word, ...short === undefined ? [] : [short]]
  )))]
  return `# bash completion for polaris
_polaris () {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path= word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in
${[...paths(root)].filter(([path]) => path !== '').map(
  ([path]) => `      '${path.includes(' ') ? path : ` ${path}`}') path='${path}' ;;`
).join('\n')}
    esac
  done
  case $previous in
    ${files.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case $path in
${[...paths(root)].map(
  ([path, command]) => `    '${path}') COMPREPLY=($(compgen -W '${words(command)}' -- "$current")) ;;`
).join('\n')}
  esac
}
complete -o filenames -F _polaris polaris
`
}

/** Text within single quotes, of which some characters mean something in a specification of zsh's. */
function zshQuote (text: string): string {
  return text.replace(/'/g, '\'\\\'\'').replace(/[[\]:]/g, '\\$&')
}

/** For `_arguments`. Any option may come again, as --header does. Arguments of a command itself may be files. */
function zshArguments ({ options, commands }: Described): string {
  const specifications = options.flatMap(({
    word, short, file, value, description
  }) => [word, ...short === undefined ? [] : [short]]
    .map(name => `'*${name}[${zshQuote(description)}]${value ? `:value:${file ? '_files' : ' '}` : ''}'`))
  return ['_arguments -s', ...specifications, ...commands.length > 0 ? [] : ["'*: :_default'"]].join(' ')
}

function zsh (root: Described): string {
  const lines = [...paths(root)].map(([path, command]) => {
    const inner = command.commands.length > 0
      ? `local -a commands=(${command.commands.map(
        ({ word, description }) => `'${word}:${zshQuote(description)}'`
      ).join(' ')})\n      (( CURRENT == 2 )) && _describe command commands`
      : command.choices.length > 0 ? `_values shell ${command.choices.join(' ')}` : ''
    return `    '${path}')\n      ${[inner, zshArguments(command)].filter(part => part !== '').join('\n      ')} ;;`
  })
  return `#compdef polaris
_polaris () {
  local at= word depth=1
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
${[...paths(root)].filter(([path]) => path !== '').map(
  ([path]) => `      '${path.includes(' ') ? path : ` ${path}`}') at='${path}'; (( depth++ )) ;;`
).join('\n')}
    esac
  done
  # What follows sees the last of the commands as its own.
  shift $((depth - 1)) words
  (( CURRENT -= depth - 1 ))
  case $at in
${lines.join('\n')}
  esac
}
# Found in fpath, this is the body of the function for its first call; otherwise it has been sourced.
if [[ $funcstack[1] == _polaris ]]; then _polaris "$@"; else compdef _polaris polaris; fi
`
}

function fish (root: Described): string {
  const quote = (text: string) => text.replace(/[\\']/g, '\\$&')
  const lines = [...paths(root)].flatMap(([path, command]) => {
    const seen = path.split(' ').filter(word => word !== '').map(word => `__fish_seen_subcommand_from ${word}`)
    const others = command.commands.length > 0
      ? [`not __fish_seen_subcommand_from ${command.commands.map(({ word }) => word).join(' ')}`]
      : []
    const when = [...seen, ...others].join('; and ')
    const condition = when === '' ? '' : ` -n '${when}'`
    return [
      ...command.commands.map(
        ({ word, description }) => `complete -c polaris${condition} -f -a ${word} -d '${quote(description)}'`
      ),
      ...command.choices.map(word => `complete -c polaris${condition} -f -a ${word}`),
      ...command.options.map(({ word, short, description, file, value }) =>
        `complete -c polaris${condition} -l ${word.slice(2)}${short === undefined
          ? ''
          : ` -s ${short.slice(1)}`}${value ? ' -r' : ''}${value && !file ? ' -f' : ''} -d '${quote(description)}'`)
    ]
  })
  return `# fish completion for polaris\n${lines.join('\n')}\n`
}
