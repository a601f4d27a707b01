# usage: bash complete.bash <script> <line>: prints what a tab at the end of the line offers.
source "$1"
read -ra COMP_WORDS <<< "$2"
[[ $2 != *' ' ]] || COMP_WORDS+=('')
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_polaris
printf '%s\n' "${COMPREPLY[@]}"
