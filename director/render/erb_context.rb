# frozen_string_literal: true

# What an ERB template of a job sees: p, if_p, link, if_link, spec, properties, name and index.
# Source: BOSH's documentation of job templates.

require 'ostruct'

# Blank and present values, which templates of many releases ask for.
class Object
  def blank?
    respond_to?(:empty?) ? !!empty? : !self
  end

  def present?
    !blank?
  end

  def presence
    self if present?
  end
end

class String
  def blank?
    match?(/\A[[:space:]]*\z/)
  end
end

class Numeric
  def blank?
    false
  end
end

module JobTemplate
  # A property none of whose names has a value.
  class UnknownProperty < StandardError
    attr_reader :names, :link

    def initialize(names, link = nil)
      @names = names
      @link = link
      super("no value for #{names.join(', ')}")
    end
  end

  # A link that is not there.
  class UnknownLink < StandardError
    attr_reader :names

    def initialize(name)
      @names = [name]
      super("no link #{name}")
    end
  end

  # An OpenStruct whose methods(false) are its keys: templates list network names that way.
  class Struct < OpenStruct
    def methods(regular = true)
      regular ? super() : to_h.keys
    end
  end

  def self.struct(value)
    case value
    when Hash then Struct.new(value.transform_values { |v| struct(v) })
    when Array then value.map { |v| struct(v) }
    else value
    end
  end

  # p and if_p over a hash of properties.
  module Properties
    def p(names, *default)
      names = Array(names)
      names.each do |name|
        value = lookup_property(name)
        return value unless value.nil?
      end
      return default.first unless default.empty?

      raise UnknownProperty.new(names, link_name)
    end

    def if_p(*names)
      values = names.map { |name| lookup_property(name) }
      return Otherwise.new(template) if values.any?(&:nil?)

      yield(*values)
      Done.new
    end

    private

    def lookup_property(name)
      name.to_s.split('.').reduce(property_values) do |values, key|
        return nil unless values.is_a?(Hash)

        values[key]
      end
    end

    def link_name
      nil
    end
  end

  # What follows an if_p or if_link that did not hold.
  class Otherwise
    def initialize(template)
      @template = template
    end

    def else
      yield
    end

    def else_if_p(*names, &block)
      @template.if_p(*names, &block)
    end

    def else_if_link(name, &block)
      @template.if_link(name, &block)
    end
  end

  # What follows one that did: nothing.
  class Done
    def else; end

    def else_if_p(*)
      self
    end

    def else_if_link(*)
      self
    end
  end

  # One instance of the group that provides a link.
  class LinkInstance
    include Properties

    attr_reader :name, :index, :id, :az, :address, :bootstrap

    def initialize(values, link)
      @name, @index, @id, @az, @address, @bootstrap =
        values.values_at('name', 'index', 'id', 'az', 'address', 'bootstrap')
      @values = values['properties']
      @link = link
    end

    def inspect
      "#<instance of link #{@link.link_name}>"
    end

    private

    def property_values
      @values || @link.properties
    end

    def template
      @link.template
    end

    def link_name
      @link.link_name
    end
  end

  # A link as a template sees it.
  class Link
    include Properties

    attr_reader :instances, :properties, :template, :link_name

    def initialize(name, values, template)
      @link_name = name
      @template = template
      @properties = values['properties'] || {}
      @literal = values['address']
      @instances = (values['instances'] || []).map { |i| LinkInstance.new(i, self) }
    end

    # Without a name service a link's address is that of its first instance in these AZs.
    def address(azs: nil, **_health)
      return @literal if @literal

      wanted = azs && Array(azs)
      found = @instances.select { |i| wanted.nil? || wanted.include?(i.az) }
      first = found.find(&:bootstrap) || found.first
      raise "link '#{@link_name}' has no instance#{" in #{wanted.join(', ')}" if wanted}" unless first

      first.address
    end

    def inspect
      "#<link #{@link_name}>"
    end

    private

    def property_values
      @properties
    end
  end
end

# The object a template is evaluated in. It is not nested, so that a template that says Struct or
# Link means its own or Ruby's.
class JobTemplate::Context
  include JobTemplate::Properties

  attr_reader :spec, :properties, :raw_properties, :name, :index

  def initialize(values)
    @raw_properties = values['properties']
    @links = values['links']
    @spec = JobTemplate.struct(values['spec'].merge('properties' => @raw_properties))
    @properties = JobTemplate.struct(@raw_properties)
    @name = values['spec']['name']
    @index = values['spec']['index']
  end

  def link(name)
    values = @links[name.to_s]
    raise JobTemplate::UnknownLink, name.to_s if values.nil?

    JobTemplate::Link.new(name.to_s, values, self)
  end

  def if_link(name)
    return JobTemplate::Otherwise.new(self) if @links[name.to_s].nil?

    yield link(name)
    JobTemplate::Done.new
  end

  def get_binding
    binding
  end

  # Ruby's messages show the receiver; this one would show every property.
  def inspect
    'the template'
  end

  def to_s
    'the template'
  end

  private

  def property_values
    @raw_properties
  end

  def template
    self
  end
end
