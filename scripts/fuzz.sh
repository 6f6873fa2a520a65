#!/usr/bin/env bash
# Runs each fuzz target of fuzz/ for FUZZ_SECONDS (10) seconds, or only those named as arguments.
#
#     scripts/fuzz.sh [--keep] [TARGET]...
#
# A target starts from what the repository has already: fuzz/seeds, the fixtures of the formats and the provider files.
# What a run finds beyond that stays in target/fuzz/corpus and is the next run's start; with --keep a few short inputs that
# reach the most of the readers go to fuzz/seeds, which `make test` plays. An input that breaks a rule is
# kept in target/fuzz/found, and the script ends with an error. Works with the stable toolchain: the passes of LLVM
# that count what was reached are asked for by name, and no sanitizer is, since the crates here have no unsafe code.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-10}
host=$(rustc -vV | sed -n 's/^host: //p')
work=$PWD/target/fuzz
keep=false
[ "${1:-}" != --keep ] || { keep=true; shift; }
targets=("$@")
[ $# -gt 0 ] || targets=(
    sse usage_taps translate head listed form kept provider_file base_url provider_answer provider_words ws realtime_guard scrub
    words
)

# With --target the flags reach no build script.
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --locked --release --manifest-path fuzz/Cargo.toml --target "$host" --target-dir "$work" --bins

# Links to the seeds of a target, for libFuzzer reads folders and not their subfolders.
seeds_of() {
    local into=$work/seeds/$1 found
    rm -rf "$into"
    mkdir -p "$into"
    case $1 in
        sse) found=(crates/llm/src/fixtures/*/*.sse) ;;
        usage_taps) found=(crates/llm/src/fixtures/{openai,anthropic,gemini,rerank}*/*) ;;
        translate) found=(crates/llm/src/fixtures/translate/*/*) ;;
        provider_file) found=(providers/*.toml) ;;
        *) found=() ;;
    esac
    local file name place
    for file in "${found[@]}"; do
        name=${file//\//_}
        if [ "$1" = usage_taps ]; then
            # The byte in front chooses the format; see the target.
            place=$(format_of "$file")
            { printf "\\x$(printf %02x "$place")"; cat "$file"; } >"$into/$name"
        elif [ "$1" = translate ]; then
            # Two bytes in front choose the formats and where it is cut; a request is its client's, the rest its provider's.
            place=$(pair_of "$file")
            { printf "\\x$(printf %02x "$place")\\x28"; cat "$file"; } >"$into/$name"
        else
            ln -s "$PWD/$file" "$into/$name"
        fi
    done
    for file in fuzz/seeds/"$1"/*; do
        [ -e "$file" ] || continue
        ln -s "$PWD/$file" "$into/seed_${file##*/}"
    done
}

# The place of a fixture's format in the target's list.
format_of() {
    local at=0 name
    for name in openai_chat openai_responses openai_embeddings openai_moderations openai_images openai_speech \
        openai_transcriptions rerank anthropic_messages gemini_generate_content gemini_embeddings \
        openai_realtime; do
        [ "$name" != "$(basename "$(dirname "$1")")" ] || { echo "$at"; return; }
        at=$((at + 1))
    done
    echo "fuzz: no format is named like the folder of $1" >&2
    return 1
}

# A place in the target's pairs with the format of a fixture: as the client's of a request, else as the provider's.
pair_of() {
    local at=0 name
    for name in openai_chat openai_responses anthropic_messages gemini_generate_content; do
        if [ "$name" = "$(basename "$(dirname "$1")")" ]; then
            case $(basename "$1") in
                request*) echo $((at * 3)) ;;
                # The client before it, one step away.
                *) echo $(((at + 3) % 4 * 3)) ;;
            esac
            return
        fi
        at=$((at + 1))
    done
    echo "fuzz: no format is named like the folder of $1" >&2
    return 1
}

# Longer inputs are no seeds, and of a target there are no more than so many.
seed_bytes=400
seeds_at_most=40

# Of what a target's runs found, the few inputs that reach the most.
keep_of() {
    local short=$work/short/$1 chosen=$work/chosen/$1
    rm -rf "$short" "$chosen"
    mkdir -p "$short" "$chosen"
    find "$work/corpus/$1" "$work/seeds/$1/" -follow -type f -size "-${seed_bytes}c" -exec cp -t "$short" {} +
    "$work/$host/release/$1" -set_cover_merge=1 "$chosen" "$short" >>"$work/$1.log" 2>&1
    find fuzz/seeds/"$1" -type f -regextype posix-egrep -regex '.*/[0-9a-f]{40}' -delete
    # They are written in the order in which they were chosen, each for what the ones before did not reach.
    find "$chosen" -type f -printf '%T@ %p\n' | sort -n | cut -d ' ' -f 2- |
        sed -n "1,${seeds_at_most}p" | xargs -r cp -t fuzz/seeds/"$1"
}

mkdir -p "$work/found"
for target in "${targets[@]}"; do
    seeds_of "$target"
    mkdir -p "$work/corpus/$target"
    echo "fuzz: $target, $seconds s"
    "$work/$host/release/$target" "$work/corpus/$target" "$work/seeds/$target" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=2048 -artifact_prefix="$work/found/$target-" -print_final_stats=1 >"$work/$target.log" 2>&1 || {
        tail -40 "$work/$target.log" >&2
        echo "fuzz: $target broke a rule; the input is in $work/found" >&2
        exit 1
    }
    grep -E '^stat::(number_of_executed_units|average_exec_per_sec)' "$work/$target.log"
    ! $keep || keep_of "$target"
done
