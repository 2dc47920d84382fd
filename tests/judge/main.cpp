// The command judge: llama.cpp's opinion on a GGUF file, in a process of its own.
// Exit status 0: it works; 1: it does not, and a sentence on the standard error output says why; 2: wrong usage.
#include "llama.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using Arguments = std::span<char* const>;

int number(const char* text)
{
    int value = 0;
    const char* end = text + std::strlen(text);
    const auto [stop, error] = std::from_chars(text, end, value);
    if (error != std::errc() || stop != end)
        throw std::runtime_error("A number was expected, not \"" + std::string(text) + "\".");
    return value;
}

std::string contents(std::istream& in)
{
    return {std::istreambuf_iterator<char>(in), {}};
}

// As llama-perplexity reads its text: without the last line's end.
std::string textFile(const char* path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw std::runtime_error("Cannot read " + std::string(path) + '.');
    std::string text = contents(file);
    if (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

void perplexity(Arguments args)
{
    const judge::Llama llama = judge::Llama::open(args[0]);
    std::printf("%.6f\n", llama.perplexity(textFile(args[1]), number(args[2]), number(args[3])));
}

void divergence(Arguments args)
{
    const judge::Llama model = judge::Llama::open(args[0]), reference = judge::Llama::open(args[1]);
    std::printf("%.6f\n", judge::divergence(model, reference, textFile(args[2]), number(args[3]), number(args[4])));
}

void greedy(Arguments args)
{
    std::cout << judge::Llama::open(args[0]).greedy(args[1], number(args[2])) << '\n';
}

void quantize(Arguments args)
{
    judge::quantize(args[0], args[1], number(args[2]), args.size() > 3 ? number(args[3]) : 0,
                    args.size() > 4 ? judge::importanceIn(args[4]) : judge::Importance());
}

// Loads with all weights checked, and runs up to 16 tokens from all over the vocabulary.
void load(Arguments args)
{
    const judge::Llama llama = judge::Llama::open(args[0]);
    const std::size_t vocabulary = llama.vocabulary();
    const std::size_t count = std::min<std::size_t>(vocabulary, 16);
    judge::Tokens tokens;
    for (std::size_t i = 0; i < count; ++i)
        tokens.push_back(static_cast<std::int32_t>(i * vocabulary / count));
    const judge::Logits logits = llama.logits(tokens);
    if (logits.values.empty())
        throw std::runtime_error("The model has no tokens.");
    const auto bad = std::ranges::count_if(logits.values, [](float x) { return !std::isfinite(x); });
    if (bad > 0)
        throw std::runtime_error(std::to_string(bad) + " of " + std::to_string(logits.values.size())
                                 + " logits are not finite.");
}

void tokens(Arguments args)
{
    const std::string text = std::strcmp(args[1], "-") == 0 ? contents(std::cin) : args[1];
    for (const std::int32_t token : judge::Llama::open(args[0]).tokenize(text, true))
        std::cout << token << '\n';
}

struct Command {
    const char* name;
    const char* usage;
    std::size_t least; // arguments
    std::size_t most;
    unsigned seconds; // then it counts as hanging
    void (*run)(Arguments);
};

constexpr std::array<Command, 6> kCommands = {{
    {"perplexity", "FILE.gguf TEXTFILE CONTEXT CHUNKS  (CHUNKS 0: all)", 4, 4, 1800, perplexity},
    {"divergence", "FILE.gguf REFERENCE.gguf TEXTFILE CONTEXT CHUNKS  (CHUNKS 0: all)", 5, 5, 1800, divergence},
    {"greedy", "FILE.gguf PROMPT TOKENS", 3, 3, 600, greedy},
    {"quantize", "IN.gguf OUT.gguf FTYPE [THREADS [IMATRIX.gguf]]  (FTYPE by number, as llama_ftype)", 3, 5, 1800,
     quantize},
    {"load", "FILE.gguf", 1, 1, 120, load},
    {"tokens", "FILE.gguf TEXT  (TEXT -: the standard input)", 2, 2, 120, tokens},
}};

int run(const Command& command, Arguments args)
{
    try {
        command.run(args);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "judge: " << error.what() << '\n';
        return 1;
    }
}

// In a process of its own, so that a crash, a failed assertion or a hang of llama.cpp ends in a sentence, too.
int runGuarded(const Command& command, Arguments args)
{
    const pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("GGML_NO_BACKTRACE", "1", 1); // else ggml starts a debugger when an assertion fails
        alarm(command.seconds);
        std::exit(run(command, args));
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        std::cerr << "judge: cannot start a process.\n";
        return 1;
    }
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == 0 ? 0 : 1;
    if (WTERMSIG(status) == SIGALRM)
        std::cerr << "judge: llama.cpp did not come to an end within " << command.seconds << " s.\n";
    else
        std::cerr << "judge: llama.cpp ended with signal " << WTERMSIG(status) << " (" << strsignal(WTERMSIG(status))
                  << ").\n";
    return 1;
}

} // namespace

int main(int argc, char** argv)
{
    const Arguments args(argv + 1, static_cast<std::size_t>(std::max(argc - 1, 0)));
    const auto command = std::ranges::find_if(kCommands, [&](const Command& c) {
        return !args.empty() && args[0] == std::string_view(c.name) && args.size() > c.least
            && args.size() <= c.most + 1;
    });
    if (command == kCommands.end()) {
        for (const Command& c : kCommands)
            std::cerr << "judge " << c.name << ' ' << c.usage << '\n';
        return 2;
    }
    return runGuarded(*command, args.subspan(1));
}
