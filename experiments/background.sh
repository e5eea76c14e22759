# Sourced by the go_on.sh of experiments: their runs are of one fixed commit, whose checkout stands beside the run folders, and go on in the
# background.

# enter_checkout COMMIT [FOLDER]: sets `runs` to FOLDER (by default ../runs beside the checkout), which holds all run folders, and goes into
# FOLDER/code-COMMIT. A checkout that is gone is made again.
enter_checkout() {
    local root code
    root=$(git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse --show-toplevel)
    mkdir -p "${2:-$root/../runs}"
    runs=$(cd "${2:-$root/../runs}" && pwd)
    code=$runs/code-$1
    [[ -d $code ]] || { git -C "$root" worktree prune; git -C "$root" worktree add --detach "$code" "$1"; }
    [[ -e $code/.venv ]] || ln -s "$(cd "$root/.venv" && pwd -P)" "$code/.venv"
    cd "$code"
    export PYTHONPATH=$code
}

# glibc gives freed blocks over 32 MiB, such as the epipolar prior's maps at tiny, back to the kernel, which clears them anew at every step:
# a step of the base with the prior took 2.2 s so, and takes 1.7 with these.
export MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=4294967296

# in_background LOG COMMAND ...: starts a command in one thread, and adds what it prints to LOG, a file in `runs`.
in_background() {
    local log=$runs/$1
    shift
    mkdir -p "$(dirname "$log")"
    OMP_NUM_THREADS=1 setsid nohup "$@" >>"$log" 2>&1 &
    echo "go_on: started, see $log; stop it by: kill -TERM -- -$!"
}

# one_by_one LOG FILE RUN ...: does the named runs of a sweep file in the background, at priority 15. A run that fails (exit code 2) is left
# for the next call, the log says why, and the others go on; any other exit code is that of an interruption, which ends it.
one_by_one() {
    local log=$1
    shift
    in_background "$log" nice -n 15 bash -c '
        file=$1; shift
        for run; do .venv/bin/python -m mvt4g sweep "$file" --only "$run" --threads 1 || [[ $? -eq 2 ]] || exit; done' go_on "$@"
}
