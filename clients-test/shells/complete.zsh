# usage: zsh -f complete.zsh <directory of _polaris> <line>: types a line and a tab into a shell, and prints what it became.
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1= PS2= RPS1=; fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D"
# Without a list of choices that could be asked about; and the command prints what it is called with.
zpty -w shell "unsetopt auto_list auto_menu list_ambiguous beep; polaris () { print -r -- \"<\$*>\" }; print rea''dy"
zpty -r shell output '*ready*'
zpty -w shell "$2"$'\t'
zpty -r shell output '*<*>*'
print -r -- "${${output#*<}%%>*}"
zpty -d shell
