#pragma once

#include <string>
#include <string_view>

namespace judge {

// One shared library of the npm package @node-llama-cpp/linux-x64 (3.22.1: llama.cpp v0.5.0, ggml 0.25.1, x86-64
// Linux). Once loaded it stays so until the process ends, hence pointers into it stay valid.
class Library {
public:
    explicit Library(const char* file); // name within folder()

    // The folder of the package's libraries, whether it is installed or not.
    static std::string folder();

    // Empty while everything was found; else one sentence: the library or the first function that is missing.
    const std::string& reason() const { return m_reason; }

    // Null, and a reason, if the library has no such function.
    template <typename Function>
    Function* find(const char* name)
    {
        return reinterpret_cast<Function*>(symbol(name));
    }

    // Null if the library has no such function; that is no failure.
    void* findOptional(const char* name) const;

private:
    void* symbol(const char* name);

    std::string m_file;
    void* m_handle;
    std::string m_reason;
};

} // namespace judge
