# frozen_string_literal: true

# Renders ERB templates for the director: ruby erb_worker.rb MEMORY_MB CONTEXT_RB [LIBRARY...]
#
# Everything a template may use is loaded first; then the process gives up files, network, identity
# and privileges for good, says "ready LAYER..." and serves requests. Each is rendered in a child
# of its own, so that no template sees what another left in memory.
#
# Request:  "SIZE CPU_SECONDS\n" and SIZE bytes of JSON {templates: [{name, source}], contexts: [...]}
# Reply:    "data SIZE\n" and SIZE bytes of records, repeated; then "end exit|signal NUMBER\n"
# Record:   "ok CONTEXT TEMPLATE BASE64\n", or "error CONTEXT TEMPLATE LINE KIND MESSAGE NAMES\n"
#           with the last three in base64.

%w[json yaml erb shellwords date time set digest digest/md5 digest/sha1 digest/sha2 securerandom uri
   ipaddr stringio pathname bigdecimal strscan].each { |library| require library }
%w[base64].each do |library|
  require library
rescue LoadError
  nil # Ruby 3.4 made it a gem.
end

MEMORY = Integer(ARGV.fetch(0)) * 1024 * 1024
require ARGV.fetch(1)
ARGV.drop(2).each do |library|
  require library
rescue LoadError
  nil # The template that requires it will say so.
end

ARGV.clear # Kernel#gets would read them as names of files.

# Converters between encodings and YAML's class loader load lazily; later there is no file to load.
%w[UTF-16LE UTF-16BE UTF-32LE ISO-8859-1 Windows-1252 US-ASCII].each { |e| 'x'.encode(e).encode('UTF-8') }
YAML.dump(YAML.safe_load("a: [1, 2.5, 2001-01-01]\nb: :c\n", permitted_classes: [Date, Symbol]))
Time.now.iso8601
SecureRandom.hex(4)
ERB.new("<%- 1 -%>\n", trim_mode: '-').result

# The layers, each of which holds where another is not permitted.
module Sandbox
  NOBODY = 65_534
  NUMBERS = {
    'x86_64' => { prctl: 157, capset: 126 },
    'aarch64' => { prctl: 167, capset: 91 }
  }.freeze
  PDEATHSIG = 1
  DUMPABLE = 4
  NO_NEW_PRIVS = 38

  module_function

  def enter
    layers = []
    layers << 'root' if permitted { Dir.chroot('.') && Dir.chdir('/') }
    layers << 'uid' if permitted { become_nobody }
    layers << 'privileges' if permitted { drop_privileges }
    layers << 'landlock' if permitted { landlock }
    { AS: MEMORY, FSIZE: 0, CORE: 0 }.each { |name, limit| Process.setrlimit(name, limit) }
    layers
  end

  # What a child gives up beyond: no new file, process or thread, and so much processor time.
  def confine(cpu_s)
    prctl(PDEATHSIG, 9)
    { CPU: cpu_s, NOFILE: 0, NPROC: 0 }.each { |name, limit| Process.setrlimit(name, limit, limit) }
  end

  def permitted
    yield
    true
  rescue SystemCallError, NotImplementedError
    false
  end

  def become_nobody
    raise Errno::EPERM unless Process.euid.zero?

    Process.groups = []
    Process::Sys.setresgid(NOBODY, NOBODY, NOBODY)
    Process::Sys.setresuid(NOBODY, NOBODY, NOBODY)
  end

  def drop_privileges
    raise Errno::ENOSYS unless numbers

    prctl(NO_NEW_PRIVS, 1)
    header = [0x20080522, 0].pack('Ll')
    nothing = "\0" * 24
    Kernel.syscall(numbers[:capset], address(header), address(nothing))
    prctl(DUMPABLE, 0)
    # Losing an identity clears the wish to die with the parent; as init of a PID space, renew it.
    prctl(PDEATHSIG, 9) if Process.pid == 1
  end

  # A Landlock ruleset without rules: no file, no TCP, no abstract socket, no signal to outside.
  def landlock
    raise Errno::ENOSYS unless numbers

    version = Kernel.syscall(444, 0, 0, 1)
    files = (1 << { 1 => 13, 2 => 14, 3 => 15, 4 => 15 }.fetch(version, 16)) - 1
    size = { 1 => 8, 2 => 8, 3 => 8, 4 => 16, 5 => 16 }.fetch(version, 24)
    handled = [files, 3, 3].pack('Q3')
    rules = Kernel.syscall(444, address(handled), size, 0)
    Kernel.syscall(446, rules, 0)
    IO.for_fd(rules).close
  end

  def prctl(option, value)
    Kernel.syscall(numbers[:prctl], option, value, 0, 0, 0) if numbers
  end

  # Kernel.syscall takes no string with a zero byte; the caller keeps the buffer alive.
  def address(buffer)
    [buffer].pack('P').unpack1('J')
  end

  def numbers
    NUMBERS[RUBY_PLATFORM[/\A[^-]+/]]
  end
end

# One request, rendered in a child.
class Request
  def initialize(payload, out)
    request = JSON.parse(payload, max_nesting: false)
    @templates = request['templates'].map { |t| [t['name'], t['source'].unpack1('m0')] }
    @contexts = request['contexts']
    @out = out
  end

  def run
    compiled = []
    @contexts.each_with_index do |context, c|
      @templates.each_with_index do |(name, source), t|
        compiled[t] ||= compile(name, source)
        record(c, t, name) { compiled[t].result(fresh(context)) }
      end
    end
  end

  private

  def compile(name, source)
    text = source.dup.force_encoding('UTF-8')
    text = source.b unless text.valid_encoding?
    ERB.new(text, trim_mode: '-').tap { |erb| erb.filename = name }
  end

  def fresh(context)
    JobTemplate::Context.new(JSON.parse(context, max_nesting: false, allow_nan: true)).get_binding
  end

  def record(context, template, name)
    text = [String(yield)].pack('m0')
    @out.write("ok #{context} #{template} #{text}\n")
  rescue Exception => e # A template may raise anything, SystemExit too.
    fields = [kind(e), message(e), names(e)].map { |field| [field].pack('m0') }
    @out.write("error #{context} #{template} #{line(e, name)} #{fields.join(' ')}\n")
  end

  def kind(error)
    case error
    when JobTemplate::UnknownProperty then error.link ? 'link_property' : 'property'
    when JobTemplate::UnknownLink then 'link'
    when NoMemoryError then 'memory'
    when SyntaxError then 'syntax'
    when LoadError then 'library'
    when SystemExit then 'exit'
    else "raised #{error.class.to_s.delete_prefix('JobTemplate::Context::')}"
    end
  end

  def names(error)
    case error
    when JobTemplate::UnknownProperty then [*error.names, *error.link].join("\0")
    when JobTemplate::UnknownLink then error.names.join("\0")
    when LoadError then error.path.to_s
    else ''
    end
  end

  def message(error)
    return missing_name(error) if error.is_a?(NameError) && error.name

    String(error.message).encode('UTF-8', invalid: :replace, undef: :replace)[0, 2000]
  rescue StandardError
    'an error without a message'
  end

  # Ruby's own text shows the receiver, which may be a secret.
  def missing_name(error)
    return "uninitialized constant '#{error.name}'" if error.name.match?(/\A[[:upper:]]/)

    receiver = error.receiver
    return "undefined local variable or method '#{error.name}'" if receiver.is_a?(JobTemplate::Context)

    "undefined method '#{error.name}' for #{receiver.nil? ? 'nil' : "an instance of #{receiver.class}"}"
  rescue ArgumentError
    "undefined name '#{error.name}'"
  end

  def line(error, name)
    if error.is_a?(SyntaxError)
      error.message[/^#{Regexp.escape(name)}:(\d+)/, 1].to_i
    else
      (error.backtrace || []).filter_map { |l| l[/\A#{Regexp.escape(name)}:(\d+)/, 1] }.first.to_i
    end
  end
end

# Requests in, records out, a child for each.
module Service
  module_function

  def serve(null)
    while (header = $stdin.gets)
      size, cpu_s = header.split.map(&:to_i)
      payload = $stdin.read(size)
      reader, writer = IO.pipe(binmode: true)
      child = fork { render(payload, cpu_s, reader, writer, null) }
      writer.close
      relay(reader, child)
      # It may have closed its pipe and gone on; whatever it is doing, it is over.
      Process.kill(:KILL, child)
      status = Process.wait2(child)[1]
      ending = status.signaled? ? "signal #{status.termsig}" : "exit #{status.exitstatus}"
      $stdout.write("end #{ending}\n")
    end
  end

  def render(payload, cpu_s, reader, writer, null)
    reader.close
    [$stdin, $stdout, $stderr].each { |io| io.reopen(null) }
    null.close
    # A blocking pipe needs no poll(2), which fails under a limit of no files.
    writer.nonblock = false
    writer.sync = true
    Sandbox.confine(cpu_s)
    Request.new(payload, writer).run
    exit!(0)
  rescue Exception
    exit!(1)
  end

  def relay(reader, child)
    loop do
      ready, = IO.select([reader, $stdin])
      if ready.include?($stdin) # Nothing is sent during a request, so the director is gone.
        Process.kill(:KILL, child)
        exit!(0)
      end
      chunk = reader.readpartial(65_536)
      $stdout.write("data #{chunk.bytesize}\n", chunk)
    end
  rescue EOFError
    reader.close
  end
end

require 'io/nonblock'
[$stdin, $stdout].each(&:binmode)
$stdout.sync = true
null = File.open('/dev/null', 'r+')
layers = Sandbox.enter
$stdout.write("ready #{layers.join(' ')}\n")
Service.serve(null)
